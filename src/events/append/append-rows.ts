import type { Observer } from '../../observer.ts';
import type { EventStore } from '../event-store.ts';
import type { BatchRow } from './append-batch.ts';
import type { AppendedRow } from './append-statements.ts';

/** How long a statement may take, and how long it waits for a lock. */
export type AppendPatience = Parameters<EventStore['append']>[2];

/** Writes rows in one statement, and tells how that has ended. @throws what `EventStore.append` throws */
export async function appendRows(
  store: Pick<EventStore, 'append'>,
  rows: readonly BatchRow[],
  patience: AppendPatience,
  observer: Pick<Observer, 'batchWritten'>,
): Promise<AppendedRow[]> {
  const startedAtMs = performance.now();
  let error: unknown;
  try {
    return await store.append(
      rows.map(([first]) => first.event),
      rows.map(([first]) => first.turn),
      patience,
    );
  } catch (cause) {
    error = cause;
    throw cause;
  } finally {
    observer.batchWritten({
      rows,
      startedAtMs,
      durationMs: performance.now() - startedAtMs,
      error,
    });
  }
}
