import type { Gauge } from '../gauge.ts';
import type { Observer } from '../observer.ts';
import { createRateLimiter, type RateLimiter } from './rate-limiter.ts';

/** A `Feature` by its shape: whoever imports that type knows every entity, and some of those have limits. */
export interface RateLimitsFeature {
  readonly limiter: RateLimiter;
  readonly gauges: readonly Gauge[];
  readonly rpcs: readonly [];
  readonly loops: readonly {
    readonly name: string;
    readonly intervalMs: number;
    readonly round: () => Promise<void>;
  }[];
}

const sweepEveryMs = 1_000;

export function createRateLimitsFeature(
  observer: Pick<Observer, 'rateLimited'>,
): RateLimitsFeature {
  const limiter = createRateLimiter(undefined, observer);
  const held: Gauge = {
    name: 'harbor_rate_limits_held',
    help: 'API keys and workspaces that have taken of their rate limits and not got it back, 50,000 at the most',
    read: () => limiter.held,
  };
  const sweep = {
    name: 'let go of rate limits that nobody has used',
    intervalMs: sweepEveryMs,
    round: async () => limiter.sweep(),
  };
  return { limiter, gauges: [held], rpcs: [], loops: [sweep] };
}
