import { RateLimitOutOfRange } from './rate-limit-errors.ts';

/** What an API key, or all calls in a workspace together, may take in one process. Undefined: no limit. */
export interface RateLimits {
  readonly createsPerSecond?: number | undefined;
  readonly createBytesPerSecond?: number | undefined;
  /** For how many seconds of their rate creates and bytes may come at once; undefined: 10. */
  readonly burstSeconds?: number | undefined;
  /** Open at once. */
  readonly streams?: number | undefined;
}

type Limit = keyof RateLimits;

/** As the contract calls them. */
const namesOfLimits = [
  ['createsPerSecond', 'creates_per_second'],
  ['createBytesPerSecond', 'create_bytes_per_second'],
  ['burstSeconds', 'burst_seconds'],
  ['streams', 'streams'],
] as const satisfies readonly (readonly [Limit, string])[];

const usualBurstSeconds = 10;
/** So that the largest event, which may take a rate beyond what is left, has come in again within minutes. */
export const createBytesPerSecondMin = 1024;

export function burstSecondsOf(limits: RateLimits | undefined): number {
  return limits?.burstSeconds ?? usualBurstSeconds;
}

/**
 * Limits after an update: a field of it that is undefined stays, 0 takes the limit off. Undefined where none is left.
 *
 * @throws RateLimitOutOfRange
 */
export function updateRateLimits(
  before: RateLimits | undefined,
  update: RateLimits | undefined,
): RateLimits | undefined {
  const { createBytesPerSecond: bytes = 0 } = update ?? {};
  if (bytes !== 0 && bytes < createBytesPerSecondMin) throw new RateLimitOutOfRange();
  const set = namesOfLimits.flatMap(([limit]) => {
    const value = update?.[limit] ?? before?.[limit] ?? 0;
    return value === 0 ? [] : [[limit, value] as const];
  });
  return set.length === 0 ? undefined : Object.fromEntries(set);
}

/** The first limit that is above that of the caller, as a field of the contract; undefined: none is. */
export function findAboveOwn(
  own: RateLimits | undefined,
  limits: RateLimits | undefined,
): string | undefined {
  return findField((limit) => reach(limits, limit) > boundOf(own, limit));
}

/** The first limit that a change raises above that of the caller, as a field of the contract; undefined: none is. */
export function findRaisedAboveOwn(
  own: RateLimits | undefined,
  before: RateLimits | undefined,
  now: RateLimits | undefined,
): string | undefined {
  return findField((limit) => {
    const reached = reach(now, limit);
    return reached > boundOf(own, limit) && reached > reach(before, limit);
  });
}

function findField(isSought: (limit: Limit) => boolean): string | undefined {
  const found = namesOfLimits.find(([limit]) => isSought(limit));
  return found && `rate_limits.${found[1]}`;
}

/** How far a limit lets one go. */
function reach(limits: RateLimits | undefined, limit: Limit): number {
  if (limit === 'burstSeconds') return burstSecondsOf(limits);
  return limits?.[limit] ?? Number.POSITIVE_INFINITY;
}

/** How far somebody with these limits may let others go: a burst means something with a rate alone. */
function boundOf(own: RateLimits | undefined, limit: Limit): number {
  const hasRate = own?.createsPerSecond !== undefined || own?.createBytesPerSecond !== undefined;
  if (limit === 'burstSeconds' && !hasRate) return Number.POSITIVE_INFINITY;
  return reach(own, limit);
}

/** The limits that are set, by the names of the contract: for the audit. */
export function describeRateLimits(limits: RateLimits | undefined): Record<string, number> {
  return Object.fromEntries(
    namesOfLimits.flatMap(([limit, name]) => {
      const value = limits?.[limit];
      return value === undefined ? [] : [[`rate_limits.${name}`, value]];
    }),
  );
}

/** What of them a change has changed, for the audit: the new values, and the old ones as `rate_limits_before`. */
export function describeRateLimitChange(
  before: RateLimits | undefined,
  now: RateLimits | undefined,
): Record<string, number | 'none'> {
  const changed = namesOfLimits.filter(([limit]) => before?.[limit] !== now?.[limit]);
  return Object.fromEntries(
    changed.flatMap(([limit, name]) => [
      [`rate_limits.${name}`, now?.[limit] ?? 'none'],
      [`rate_limits_before.${name}`, before?.[limit] ?? 'none'],
    ]),
  );
}
