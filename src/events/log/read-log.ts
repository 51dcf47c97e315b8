import type { Event } from '../event.ts';
import { LogGap, LogSetBack, SequenceExpired } from '../event-errors.ts';
import type { EventLogStore } from './event-log-store.ts';
import { areOthers, type LogPlace, type LogState, readLogEnd } from './log-place.ts';

/** What is given out at once, and so held for a slow subscriber, beside the 2 MiB of a read. */
const chunkEventsMax = 500;

/** What reading a log on takes. */
export type LogReader = Pick<EventLogStore, 'read' | 'readLogEnds'>;

export interface LogPart {
  readonly workspaceId: string;
  readonly afterSequence: number;
  /** A sequence that was committed: up to it there must be events. */
  readonly knownLast: number;
  /** A revision that the log has had: a lower one is that of a log which was set back. */
  readonly knownRevision: number;
  /** Of whoever waits for it; see EventLogStore. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Consecutive events; where there are some, the one before them, if it is still there, and what the workspace said of its
 * log when they were read.
 */
export interface NextEvents {
  readonly events: readonly Event[];
  readonly previousEventId: string | undefined;
  readonly state: LogState | undefined;
}

/**
 * Reads the next chunk of a log: consecutive events from `afterSequence` + 1 on, none at its end.
 *
 * @throws SequenceExpired when retention has passed what comes next; LogGap, LogSetBack, EventWorkspaceMissing,
 * DatabaseUnavailable
 */
export async function readLog(store: LogReader, part: LogPart): Promise<NextEvents> {
  const { workspaceId, afterSequence } = part;
  const range = {
    workspaceId,
    low: afterSequence,
    high: Number.MAX_SAFE_INTEGER,
    direction: 'asc',
    limit: chunkEventsMax,
  } as const;
  const { events, previousEventId, state } = await store.read(range, part.signal);
  if (state !== undefined) assertKept(afterSequence, state);
  if (state !== undefined && state.revision < part.knownRevision) {
    throw await describeSetBack(store, part);
  }
  const missing = events.findIndex(({ sequence }, index) => sequence !== afterSequence + 1 + index);
  const isShort = events.length === 0 && afterSequence < part.knownLast;
  if (missing >= 0 || isShort) throw await explainGap(store, part, events, Math.max(0, missing));
  return { events, previousEventId, state };
}

/** Every event from the floor on was there when they were read; those before it may be gone. */
function assertKept(afterSequence: number, { firstSequence }: LogState): void {
  if (afterSequence + 1 < firstSequence) throw new SequenceExpired(afterSequence, firstSequence);
}

async function describeSetBack(store: LogReader, part: LogPart): Promise<LogSetBack> {
  const { sequence } = await readLogEnd(store, part.workspaceId);
  return new LogSetBack(part.workspaceId, Math.max(part.afterSequence, part.knownLast), sequence);
}

/** Looks once more before it calls the log damaged: it may have been set back, or retention has gone on. */
async function explainGap(
  store: LogReader,
  { workspaceId, afterSequence, knownLast }: LogPart,
  events: readonly Event[],
  missing: number,
): Promise<LogGap | LogSetBack> {
  const end = await readLogEnd(store, workspaceId);
  assertKept(afterSequence, end);
  const found = events[missing]?.sequence;
  // The counter is written with the events: it tells a log that is shorter from one that lacks events.
  if (found === undefined && end.sequence < knownLast) {
    return new LogSetBack(workspaceId, knownLast, end.sequence);
  }
  return new LogGap(workspaceId, afterSequence + missing, found);
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
  const { sequence } = await readLogEnd(store, workspaceId);
  throw new LogSetBack(workspaceId, place.sequence, sequence);
}
