import { createRateLimiter, type RateLimiter } from './rate-limiter.ts';

/** A `Feature` by its shape: whoever imports that type knows every entity, and some of those have limits. */
export interface RateLimitsFeature {
  readonly limiter: RateLimiter;
  readonly rpcs: readonly [];
  readonly loops: readonly {
    readonly name: string;
    readonly intervalMs: number;
    readonly round: () => Promise<void>;
  }[];
}

const sweepEveryMs = 1_000;

export function createRateLimitsFeature(): RateLimitsFeature {
  const limiter = createRateLimiter();
  const sweep = {
    name: 'let go of rate limits that nobody has used',
    intervalMs: sweepEveryMs,
    round: async () => limiter.sweep(),
  };
  return { limiter, rpcs: [], loops: [sweep] };
}
