import type { Event } from '../event.ts';
import { LogGap, LogSetBack } from '../event-errors.ts';
import type { EventLogStore } from './event-log-store.ts';
import { areOthers, type LogPlace, logStart } from './log-place.ts';

/** What is given out at once, and so held for a slow subscriber, beside the 2 MiB of a read. */
const chunkEventsMax = 500;

/** What reading a log on takes. */
export type LogReader = Pick<EventLogStore, 'read' | 'readLogEnds'>;

export interface LogPart {
  readonly workspaceId: string;
  readonly afterSequence: number;
  /** A sequence that was committed: up to it there must be events. */
  readonly knownLast: number;
}

/** Consecutive events, and the one before them, where there is one and there are events. */
export interface NextEvents {
  readonly events: readonly Event[];
  readonly previousEventId: string | undefined;
}

/**
 * Reads the next chunk of a log: consecutive events from `afterSequence` + 1 on, none at its end.
 *
 * @throws LogGap, LogSetBack, DatabaseUnavailable
 */
export async function readLog(store: LogReader, part: LogPart): Promise<NextEvents> {
  const { workspaceId, afterSequence, knownLast } = part;
  const { events, previousEventId } = await store.read(
    {
      workspaceId,
      low: afterSequence,
      high: Number.MAX_SAFE_INTEGER,
      direction: 'asc',
      limit: chunkEventsMax,
    },
    { kind: 'all' },
  );
  if (events.length === 0 && afterSequence < knownLast) {
    const { sequence } = await readEnd(store, workspaceId);
    // The counter is written with the events: it tells a log that is shorter from one that lacks events.
    if (sequence < knownLast) throw new LogSetBack(workspaceId, knownLast, sequence);
    throw new LogGap(workspaceId, afterSequence, undefined);
  }
  events.forEach((event, index) => {
    const expected = afterSequence + 1 + index;
    if (event.sequence !== expected) throw new LogGap(workspaceId, expected - 1, event.sequence);
  });
  return { events, previousEventId };
}

/**
 * Asserts that events go on from the one that a reader has seen last: a log that was set back and has grown
 * again has another one in its place.
 *
 * @throws LogSetBack
 */
export async function assertGoesOn(
  store: LogReader,
  { workspaceId, place }: { readonly workspaceId: string; readonly place: LogPlace },
  next: NextEvents,
): Promise<void> {
  if (!areOthers(place.eventId, next.previousEventId)) return;
  const { sequence } = await readEnd(store, workspaceId);
  throw new LogSetBack(workspaceId, place.sequence, sequence);
}

async function readEnd(store: LogReader, workspaceId: string): Promise<LogPlace> {
  return (await store.readLogEnds([workspaceId])).get(workspaceId) ?? logStart;
}
