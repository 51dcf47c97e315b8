import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RateLimitsSchema } from '../../gen/typescript/harbor/rate_limits/v1/rate_limits_pb.ts';
import type { RateLimits } from './rate-limits.ts';

/** As a part of another message; nothing where there are no limits. */
export function toRateLimitsMessage(limits: RateLimits | undefined): {
  rateLimits?: MessageInitShape<typeof RateLimitsSchema>;
} {
  if (limits === undefined) return {};
  const { createsPerSecond, createBytesPerSecond, burstSeconds, streams } = limits;
  return {
    rateLimits: {
      ...(createsPerSecond !== undefined && { createsPerSecond }),
      ...(createBytesPerSecond !== undefined && { createBytesPerSecond }),
      ...(burstSeconds !== undefined && { burstSeconds }),
      ...(streams !== undefined && { streams }),
    },
  };
}
