import {
  type EventLogStore,
  readLogEnd,
  SequenceExpired,
  SequenceInFuture,
} from '../../events/index.ts';
import type { StartFrom } from './webhook-endpoint.ts';

/** The sequence after which a new endpoint begins. @throws SequenceInFuture, SequenceExpired, EventWorkspaceMissing */
export type FindStart = (workspaceId: string, start: StartFrom) => Promise<number>;

export function createFindStart(
  logs: Pick<EventLogStore, 'readLogEnds' | 'findPlaceOfTime'>,
): FindStart {
  return async (workspaceId, start) => {
    const { sequence: last, firstSequence } = await readLogEnd(logs, workspaceId);
    if (start.kind === 'now') return last;
    if (start.kind === 'time') return logs.findPlaceOfTime(workspaceId, start.after, true);
    const { after } = start;
    if (after > last) throw new SequenceInFuture(after, last, 'start_after_sequence');
    // 0 is wherever the log begins by now.
    if (after === 0) return firstSequence - 1;
    if (after + 1 < firstSequence) {
      throw new SequenceExpired(after, firstSequence, 'start_after_sequence');
    }
    return after;
  };
}
