import type { HrTime } from '@opentelemetry/api';

/** The two clocks tell whole milliseconds and fractions of them; and the one of the day is set now and then. */
const apartMsMax = 2;

/**
 * Makes times of day of times of `performance.now()`. The distance of the two is taken once and kept, so that spans of one
 * trace stand to each other as they were measured, until the clock of the day is set.
 */
export function createWallClock(
  wallMs: () => number = Date.now,
  nowMs: () => number = () => performance.now(),
): (ms: number) => HrTime {
  let offsetMs = wallMs() - nowMs();
  return (ms) => {
    const currentMs = wallMs() - nowMs();
    if (Math.abs(currentMs - offsetMs) > apartMsMax) offsetMs = currentMs;
    const atMs = ms + offsetMs;
    const seconds = Math.floor(atMs / 1_000);
    return [seconds, Math.round((atMs - seconds * 1_000) * 1e6)];
  };
}
