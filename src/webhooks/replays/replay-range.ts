import {
  type EventLogStore,
  readLogEnd,
  SequenceExpired,
  SequenceInFuture,
} from '../../events/index.ts';

/** A range as a caller says it. */
export interface AskedRange {
  /** 0: from the first that retention keeps. */
  readonly afterSequence: number;
  /** 0: to the newest there is. */
  readonly untilSequence: number;
  readonly createdAfter: Date | undefined;
  readonly createdBefore: Date | undefined;
}

/** After `low`, up to and including `high`; both the same where the range is empty. */
export interface ReplayRange {
  readonly low: number;
  readonly high: number;
}

/** Finds what of a log a range is. @throws SequenceInFuture, SequenceExpired, EventWorkspaceMissing */
export type FindRange = (workspaceId: string, asked: AskedRange) => Promise<ReplayRange>;

export function createFindRange(
  logs: Pick<EventLogStore, 'readLogEnds' | 'findPlaceOfTime'>,
): FindRange {
  return async (workspaceId, { afterSequence, untilSequence, createdAfter, createdBefore }) => {
    const { sequence: last, firstSequence } = await readLogEnd(logs, workspaceId);
    if (afterSequence > last) throw new SequenceInFuture(afterSequence, last);
    if (untilSequence > last) throw new SequenceInFuture(untilSequence, last, 'until_sequence');
    if (afterSequence > 0 && afterSequence + 1 < firstSequence) {
      throw new SequenceExpired(afterSequence, firstSequence, 'after_sequence');
    }
    const [afterPlace, beforePlace] = await Promise.all([
      createdAfter && logs.findPlaceOfTime(workspaceId, new Date(createdAfter.getTime() + 1)),
      createdBefore && logs.findPlaceOfTime(workspaceId, createdBefore),
    ]);
    const low = Math.max(afterSequence, afterPlace ?? 0, firstSequence - 1);
    const high = Math.min(untilSequence || last, beforePlace ?? last);
    return { low, high: Math.max(low, high) };
  };
}
