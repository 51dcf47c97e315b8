import type { HarborError } from './errors.ts';

/** The numbers of the retry schedule, in milliseconds. */
export const retrySchedule = {
  /** The first wait is at most this long, each further one at most twice as long as the one before. */
  firstDelayMsMax: 100,
  /** No wait is longer than this, unless the service asks for more. */
  delayMsMax: 5_000,
  /** When the service asks for a longer wait than this, the caller gets the error at once instead. */
  serverDelayMsMax: 30_000,
  /** A subscription waits instead, since it has all the time there is; but no longer than this. */
  reconnectServerDelayMsMax: 300_000,
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
  const floorMs = error.retryAfterMs ?? 0;
  if (!error.retryable || floorMs > retrySchedule.serverDelayMsMax) return undefined;
  return floorMs + jitterMs(attempt, random);
}

/**
 * How long a subscription waits before it connects again, in milliseconds: as above, with `failures`,
 * the number of failures in a row, from 1. A wait that the service asks for is kept up to 5 minutes.
 */
export function reconnectDelayMs(
  failures: number,
  error: Pick<HarborError, 'retryAfterMs'>,
  random: () => number,
): number {
  const floorMs = Math.min(error.retryAfterMs ?? 0, retrySchedule.reconnectServerDelayMsMax);
  return floorMs + jitterMs(failures, random);
}

function jitterMs(attempt: number, random: () => number): number {
  const { firstDelayMsMax, delayMsMax } = retrySchedule;
  return random() * Math.min(delayMsMax, firstDelayMsMax * 2 ** (attempt - 1));
}
