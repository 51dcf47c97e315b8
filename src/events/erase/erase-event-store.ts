import { type Actor, recordAudit } from '../../audit/index.ts';
import type { Change } from '../../database/changes.ts';
import { uuidOf } from '../../type-id.ts';
import { appendOwnEvent } from '../append/own-event-store.ts';
import type { Event } from '../event.ts';
import { type EventRow, toEvents } from '../event-row.ts';
import { eraseStatement, raiseRevisionStatement } from './erase-statements.ts';

/** An event that was erased now, and the one that tells of it in the log. */
export interface Erasure {
  readonly event: Event;
  readonly notice: Event;
}

/** Takes the content of events away. */
export interface EraseEventStore {
  /**
   * Erases an event, and in the same transaction tells of it in the log and in the audit, and raises the revision that
   * makes every process drop what it holds of it. Of several who erase an event at once, one does; the others wait for
   * that.
   *
   * The event is locked first, and the counter of its workspace, for which creates wait, last: no append locks an event.
   *
   * @returns undefined when there was nothing to erase: it was erased before, or is kept no more.
   * @throws EventWorkspaceMissing, AppendContended, DatabaseContended, DatabaseUnavailable; whoever does not know the
   * outcome erases again.
   */
  erase(event: Event, actor: Actor): Promise<Erasure | undefined>;
}

/** @param change whoever erases thousands of events waits behind himself, and keeps nobody else waiting. */
export function createEraseEventStore(change: Change): EraseEventStore {
  return {
    erase: ({ id, workspaceId, sequence }, actor) =>
      change(actor.apiKeyId ?? 'operator', async (tx) => {
        const rows = await tx.run<EventRow>(eraseStatement, [uuidOf(id), workspaceId]);
        const [event] = toEvents(rows, () => workspaceId);
        if (event === undefined) return undefined;
        await recordAudit(tx, {
          actor,
          action: 'event.erased',
          targetId: id,
          workspaceIds: [workspaceId],
          changes: {},
        });
        const notice = await appendOwnEvent(tx, {
          workspaceId,
          type: 'harbor.event.erased',
          payload: { event_id: id, sequence },
          key: `event.erased ${id}`,
        });
        if (notice === undefined)
          throw new Error(`the log tells of an erasure of ${id} that never was`);
        await tx.run(raiseRevisionStatement, [workspaceId]);
        return { event, notice };
      }),
  };
}
