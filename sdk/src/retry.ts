import type { HarborError } from './errors.ts';

/** The numbers of the retry schedule, in milliseconds. */
export const retrySchedule = {
  /** The first wait is at most this long, each further one at most twice as long as the one before. */
  firstDelayMsMax: 100,
  /** No wait is longer than this, unless the service asks for more. */
  delayMsMax: 5_000,
  /** When the service asks for a longer wait than this, the caller gets the error at once instead. */
  serverDelayMsMax: 30_000,
} as const;

/**
 * How long to wait before sending a failed call again, in milliseconds; undefined: do not send it again.
 *
 * `attempt` is the number of the attempt that failed, from 1. The wait is drawn evenly between 0 and
 * min(5 s, 100 ms × 2^(attempt − 1)) ("full jitter"), on top of the wait that the service asks for.
 * `random` returns a number from 0 up to, not including, 1.
 */
export function retryDelayMs(
  attempt: number,
  error: Pick<HarborError, 'retryable' | 'retryAfterMs'>,
  random: () => number,
): number | undefined {
  const { firstDelayMsMax, delayMsMax, serverDelayMsMax } = retrySchedule;
  const floorMs = error.retryAfterMs ?? 0;
  if (!error.retryable || floorMs > serverDelayMsMax) return undefined;
  return floorMs + random() * Math.min(delayMsMax, firstDelayMsMax * 2 ** (attempt - 1));
}
