/** The limits that can be met, as the contract calls them. */
export type MetLimit = 'creates_per_second' | 'create_bytes_per_second' | 'streams';
/** Whose they are. */
export type LimitOwner = 'api_key' | 'workspace';

const takers = { api_key: 'the API key', workspace: 'all API keys in the workspace together' };
const allowances: Record<MetLimit, (max: number) => string> = {
  creates_per_second: (max) => `may create events at ${max} a second`,
  create_bytes_per_second: (max) => `may create events at ${max} bytes a second`,
  streams: (max) => `may have streams open, ${max} at once`,
};

/**
 * A limit of the API key, or of the workspace, lets no more through at this moment. Nothing was stored. Says nothing of
 * what other keys have taken.
 */
export class RateLimited extends Error {
  override readonly name = 'RateLimited';
  readonly owner: LimitOwner;
  readonly limit: MetLimit;
  readonly retryAfterMs: number;

  /** @param retryAfterMs whole milliseconds, at least 1. */
  constructor(owner: LimitOwner, limit: MetLimit, max: number, retryAfterMs: number) {
    // For people: the exact time is in the wait.
    const seconds = Math.ceil(retryAfterMs / 100) / 10;
    super(`${takers[owner]} ${allowances[limit](max)}; try again in ${seconds} s`);
    this.owner = owner;
    this.limit = limit;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The rule of `create_bytes_per_second`, which no annotation can say of a field that may be 0. */
export class RateLimitOutOfRange extends Error {
  override readonly name = 'RateLimitOutOfRange';
  readonly field = 'rate_limits.create_bytes_per_second';
  readonly rule = 'must be 0, no limit, or 1,024–1,000,000,000';

  constructor() {
    super('rate_limits.create_bytes_per_second must be 0, no limit, or 1,024–1,000,000,000');
  }
}

/** A key that has limits gives a workspace none above its own. */
export class RateLimitsExceedCaller extends Error {
  override readonly name = 'RateLimitsExceedCaller';
  readonly exceeds: string;

  /** @param exceeds the field of the contract. */
  constructor(exceeds: string) {
    super(`a key with rate limits gives a workspace none above its own: see ${exceeds}`);
    this.exceeds = exceeds;
  }
}
