import type { Event } from '../../events/index.ts';
import { type Cursor, isFor } from './target.ts';

/** A part of a log as it was read: consecutive events after a place. */
export interface Scanned {
  readonly events: readonly Event[];
  /** Up to here the log was looked through. */
  readonly end: number;
}

/** What a cursor has found in a part of the log that begins where it stands. */
export interface Found {
  /** Ascending. */
  readonly matches: readonly number[];
  readonly scanned: number;
}

/** @param endpointId the id of the cursor's target as payloads name it. */
export function findMatches(cursor: Cursor, endpointId: string, part: Scanned): Found {
  const end = Math.min(part.end, cursor.endSequence ?? Number.POSITIVE_INFINITY);
  const matches = part.events
    .filter((event) => event.sequence > cursor.scanned && event.sequence <= end)
    .filter((event) => isFor(cursor, endpointId, event))
    .map(({ sequence }) => sequence);
  return { matches, scanned: end };
}

/** How far a cursor has to go: to the end of its range, or of the log. */
export function goalOf(cursor: Cursor, logEnd: number): number {
  return Math.min(logEnd, cursor.endSequence ?? Number.POSITIVE_INFINITY);
}
