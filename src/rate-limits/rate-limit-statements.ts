import { toRateLimits } from './rate-limit-columns.entity.ts';
import type { RateLimits } from './rate-limits.ts';

/** For statements that read limits along with what has them. */
export const selectedRateLimits =
  'creates_per_second, create_bytes_per_second, burst_seconds, streams_max';

export interface SelectedRateLimits {
  readonly creates_per_second: number | null;
  readonly create_bytes_per_second: number | null;
  readonly burst_seconds: number | null;
  readonly streams_max: number | null;
}

/** Undefined where the row has no limit. */
export function fromSelectedRateLimits(row: SelectedRateLimits): RateLimits | undefined {
  return toRateLimits({
    createsPerSecond: row.creates_per_second,
    createBytesPerSecond: row.create_bytes_per_second,
    burstSeconds: row.burst_seconds,
    streamsMax: row.streams_max,
  });
}
