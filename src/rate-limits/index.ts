export { limitedOf, ofKey, ofWorkspace } from './limited.ts';
export { RateLimited, RateLimitsExceedCaller } from './rate-limit-errors.ts';
export { rateLimitRefusals } from './rate-limit-refusals.ts';
export {
  fromSelectedRateLimits,
  type SelectedRateLimits,
  selectedRateLimits,
} from './rate-limit-statements.ts';
export {
  createRateLimiter,
  type Limited,
  type RateLimiter,
  type RefusedBefore,
} from './rate-limiter.ts';
export { createRateLimitsFeature, type RateLimitsFeature } from './rate-limits.feature.ts';
export {
  describeRateLimitChange,
  describeRateLimits,
  findAboveOwn,
  findRaisedAboveOwn,
  type RateLimits,
  updateRateLimits,
} from './rate-limits.ts';
export { toRateLimitsMessage } from './rate-limits-message.rpc.ts';
export type { Standing } from './standing.ts';
export { standingKey } from './standing-key.rpc.ts';
