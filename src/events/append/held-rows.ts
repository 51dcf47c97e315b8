import type { EventStore } from '../event-store.ts';
import { answerRow, type BatchRow } from './append-batch.ts';
import type { HeldRow } from './append-statements.ts';

/** A row whose key holds an event already, and what holds it. */
export interface HeldAnswer {
  readonly row: BatchRow;
  readonly holder: HeldRow;
}

/**
 * Answers rows whose keys are held. Only the originals of replays are read, as much at a time as the store
 * brings, and each is let go of before the next ones come; a key that was used for other content is refused
 * without them.
 */
export async function answerHeldRows(
  store: Pick<EventStore, 'read'>,
  held: readonly HeldAnswer[],
  restMs: () => number,
): Promise<void> {
  const replays = new Map<string, HeldAnswer>();
  for (const one of held) {
    if (isReplay(one)) replays.set(one.holder.eventId, one);
    else answerRow(one.row, one.holder, undefined);
  }
  try {
    while (replays.size > 0) {
      const ids = [...replays.keys()];
      const { events, leftOut } = await store.read(ids, restMs());
      const again = new Set(leftOut);
      for (const id of ids) {
        if (again.has(id)) continue;
        const { row, holder } = replays.get(id) as HeldAnswer;
        replays.delete(id);
        answerRow(row, holder, events.get(id));
      }
    }
  } catch (error) {
    for (const { row } of replays.values()) for (const one of row) one.reject(error);
  }
}

/** Whether one of the creates that share the row has the content of what holds the key. */
function isReplay({ row, holder }: HeldAnswer): boolean {
  return row.some(({ event }) => event.fingerprint?.equals(holder.fingerprint) === true);
}
