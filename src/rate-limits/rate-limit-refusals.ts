import { refuse } from '../refusal.ts';
import { RateLimited, RateLimitOutOfRange, RateLimitsExceedCaller } from './rate-limit-errors.ts';

/** What callers are told when they take more than they may, or set limits that they may not. */
export const rateLimitRefusals = [
  refuse(RateLimited, 'resource_exhausted', 'RATE_LIMITED', (e) => ({
    metadata: { limit: e.limit, of: e.owner },
    retryAfterMs: e.retryAfterMs,
  })),
  refuse(RateLimitOutOfRange, 'invalid_argument', 'INVALID_REQUEST', (e) => ({
    violation: { field: e.field, description: e.rule },
  })),
  refuse(RateLimitsExceedCaller, 'permission_denied', 'RATE_LIMITS_EXCEED_CALLER', (e) => ({
    metadata: { exceeds: e.exceeds },
  })),
];
