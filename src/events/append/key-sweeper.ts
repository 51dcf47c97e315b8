import type { EventStore } from '../event-store.ts';

/** Keys a statement: some 30 ms of work. */
const keysPerRound = 2_000;

/**
 * Deletes expired idempotency keys in small batches until none is left or `signal` aborts. Faster than
 * creates can make them; any number of processes may do it at once.
 */
export async function sweepExpiredKeys(
  store: Pick<EventStore, 'sweepExpiredKeys'>,
  signal: AbortSignal,
): Promise<number> {
  let swept = 0;
  while (!signal.aborted) {
    const count = await store.sweepExpiredKeys(keysPerRound);
    swept += count;
    if (count < keysPerRound) break;
  }
  return swept;
}
