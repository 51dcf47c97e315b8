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
    // Events have whole milliseconds: up to a time is before the next one.
    if (start.kind === 'time') {
      return logs.findPlaceOfTime(workspaceId, new Date(start.after.getTime() + 1));
    }
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
