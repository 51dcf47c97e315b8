import { uuidOf } from '../../type-id.ts';
import type { Event } from '../event.ts';
import { LogGap, LogSetBack, SequenceExpired } from '../event-errors.ts';
import type { EventLogStore, NextChunk } from './event-log-store.ts';
import { everyId, type IdRange, idsOfPartitions, partitionOf, uuidAt } from './id-range.ts';
import { areOthers, type LogPlace, type LogState, readLogEnd } from './log-place.ts';

/** What is given out at once, and so held for a slow subscriber, beside the 2 MiB of a read. */
const chunkEventsMax = 500;

/** What reading a log on takes. */
export type LogReader = Pick<EventLogStore, 'readNext' | 'readLogEnds' | 'readPartitionStarts'>;

export interface LogPart {
  readonly workspaceId: string;
  /** After which to read. */
  readonly place: LogPlace;
  /** A sequence that was committed: up to it there must be events. */
  readonly knownLast: number;
  /** A revision that the log has had: a lower one is that of a log which was set back. */
  readonly knownRevision: number;
  /** Of whoever waits for it; see EventLogStore. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the next chunk of a log: consecutive events from the place on, none at its end.
 *
 * @throws SequenceExpired when retention has passed what comes next; LogGap, LogSetBack, EventWorkspaceMissing,
 * DatabaseUnavailable
 */
export async function readLog(store: LogReader, part: LogPart): Promise<NextChunk> {
  const next = (await readNear(store, part)) ?? (await readAmong(store, part, everyId));
  const { events, state } = next;
  const { sequence } = part.place;
  if (state !== undefined) assertKept(sequence, state);
  if (state !== undefined && state.revision < part.knownRevision) {
    throw await describeSetBack(store, part);
  }
  const missing = findMissing(sequence, events);
  const isShort = events.length === 0 && sequence < part.knownLast;
  if (missing >= 0 || isShort) throw await explainGap(store, part, events, Math.max(0, missing));
  return next;
}

function readAmong(store: LogReader, part: LogPart, ids: IdRange): Promise<NextChunk> {
  const { workspaceId, place, signal } = part;
  const afterSequence = place.sequence;
  return store.readNext({ workspaceId, afterSequence, limit: chunkEventsMax, ids }, signal);
}

/**
 * Reads it from the partitions of events around the time of the place, where that is known: of 120 partitions that takes
 * a tenth of the time. Undefined when something is lacking there that may be elsewhere.
 */
async function readNear(store: LogReader, part: LogPart): Promise<NextChunk | undefined> {
  const { place, knownLast } = part;
  const uuid = uuidNear(place);
  if (uuid === undefined) return undefined;
  const starts = await store.readPartitionStarts();
  if (starts.length < 4) return undefined;
  const first = partitionOf(starts, uuid) - 1;
  const isFarBehind = knownLast - place.sequence >= chunkEventsMax;
  const ids = idsOfPartitions(starts, first, isFarBehind ? 3 : starts.length);
  const next = await readAmong(store, part, ids);
  const isConsecutive = findMissing(place.sequence, next.events) < 0;
  const isFull = next.isCut || next.events.length === chunkEventsMax;
  const last = next.events.at(-1)?.sequence ?? place.sequence;
  return isConsecutive && (isFull || last >= knownLast) ? next : undefined;
}

function uuidNear({ eventId, createdAtMs }: LogPlace): string | undefined {
  if (eventId !== undefined) return uuidOf(eventId);
  return createdAtMs === undefined ? undefined : uuidAt(new Date(createdAtMs));
}

/** The index of the first event that is not the next one; -1 when each is. */
function findMissing(afterSequence: number, events: readonly Event[]): number {
  return events.findIndex(({ sequence }, index) => sequence !== afterSequence + 1 + index);
}

/** Every event from the floor on was there when they were read; those before it may be gone. */
function assertKept(afterSequence: number, { firstSequence }: LogState): void {
  if (afterSequence + 1 < firstSequence) throw new SequenceExpired(afterSequence, firstSequence);
}

async function describeSetBack(store: LogReader, part: LogPart): Promise<LogSetBack> {
  const { sequence } = await readLogEnd(store, part.workspaceId);
  return new LogSetBack(part.workspaceId, Math.max(part.place.sequence, part.knownLast), sequence);
}

/** Looks once more before it calls the log damaged: it may have been set back, or retention has gone on. */
async function explainGap(
  store: LogReader,
  { workspaceId, place: { sequence: afterSequence }, knownLast }: LogPart,
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
  { workspaceId, place }: Pick<LogPart, 'workspaceId' | 'place'>,
  { previous }: NextChunk,
): Promise<void> {
  if (previous === undefined || !areOthers(place, previous)) return;
  const { sequence } = await readLogEnd(store, workspaceId);
  throw new LogSetBack(workspaceId, place.sequence, sequence);
}
