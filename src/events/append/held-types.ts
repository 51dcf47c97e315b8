import { createGatheredReads, type GatheredReads } from '../../gathered-reads.ts';
import { AppendQueueFull } from '../event-errors.ts';
import type { EventStore } from '../event-store.ts';

/** The types of events that hold idempotency keys: asked only for callers that may not use every type. */
export type HeldTypes = GatheredReads<string>;

/** As many as may wait for the append that met the keys. */
const waitingMax = 8_000;

export function createHeldTypes(store: Pick<EventStore, 'readTypes'>): HeldTypes {
  const read = (ids: readonly string[]) => store.readTypes(ids);
  return createGatheredReads({ read, waitingMax, full: () => new AppendQueueFull() });
}
