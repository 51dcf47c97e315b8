import { hash } from 'node:crypto';
import { decodePageToken, encodePageToken, InvalidPageToken } from '../../page-token.ts';
import type { Event } from '../event.ts';
import { SequenceExpired, SequenceInFuture } from '../event-errors.ts';
import { wireBytesOf } from '../wire-bytes.ts';
import { cutByBytes } from './cut-by-bytes.ts';
import type { EventLogStore, LogRange, TypeSelection } from './event-log-store.ts';
import { readLogEnd } from './log-place.ts';

/** Which events a list holds, and in which order. */
export interface EventQuery {
  readonly workspaceId: string;
  /** Empty: every type. */
  readonly typePatterns: readonly string[];
  readonly createdAfter: Date | undefined;
  readonly createdBefore: Date | undefined;
  /** 0: from the first that retention keeps. */
  readonly afterSequence: number;
  readonly direction: 'asc' | 'desc';
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}

export interface EventPage {
  readonly events: readonly Event[];
  /** Empty: the end. */
  readonly nextPageToken: string;
  /** The first sequence that retention keeps. */
  readonly firstSequence: number;
}

/** More types than this are not looked up one by one; the log is read and sifted instead. */
const typesMax = 32;
/** What is sifted for one page at the most; the page is then short, and its token goes on from there. */
const siftedMax = 5_000;
/** The size of a page as protobuf, where numbers take more bytes than in JSON. */
const wireBytesMax = 2 * 1024 * 1024;

/**
 * Reads one page, in bounded time whatever the filter and the length of the log.
 *
 * @throws SequenceInFuture, SequenceExpired, InvalidPageToken, EventWorkspaceMissing, DatabaseUnavailable
 */
export async function listEvents(store: EventLogStore, query: EventQuery): Promise<EventPage> {
  const { workspaceId, direction, pageSize } = query;
  const list = `events ${fingerprintOf(query)}`;
  const position = readPosition(list, query.pageToken);
  const bounds = await findBounds(store, query, position);
  const low = direction === 'asc' ? Math.max(bounds.low, position ?? 0) : bounds.low;
  const high =
    direction === 'desc' ? Math.min(bounds.high, (position ?? Infinity) - 1) : bounds.high;
  if (low >= high) return { events: [], nextPageToken: '', firstSequence: bounds.firstSequence };

  const selection = await selectTypes(store, workspaceId, query.typePatterns);
  const range = narrow({ workspaceId, low, high, direction, limit: pageSize }, selection);
  const chunk = await store.read(range, selection);
  // Retention may have gone on since the bounds were found: below the floor, some events may be gone already.
  const { firstSequence } = chunk.state ?? (await readLogEnd(store, workspaceId));
  assertKept(query, position, firstSequence);
  const kept = chunk.events.filter(({ sequence }) => sequence >= firstSequence);
  // The first event always stays: alone it is below every limit.
  const events = cutByBytes(kept, wireBytesOf, wireBytesMax);
  // Full or cut: the next page begins after its last event. Else the range was seen to its end.
  const isFull = chunk.isCut || chunk.events.length === pageSize || events.length < kept.length;
  const [rangeEnd, floor] =
    direction === 'asc' ? [range.high, firstSequence - 1] : [range.low + 1, firstSequence];
  const next = isFull ? (events.at(-1)?.sequence ?? floor) : rangeEnd;
  const isEnd = direction === 'asc' ? next >= high : next <= Math.max(low + 1, floor);
  return { events, nextPageToken: isEnd ? '' : encodePageToken(list, `${next}`), firstSequence };
}

/**
 * Of an ascending list that goes on, the page token is the cursor; a descending one ends at after_sequence all the same.
 *
 * @throws SequenceExpired
 */
function assertKept(
  { direction, afterSequence }: EventQuery,
  position: number | undefined,
  firstSequence: number,
): void {
  if (position !== undefined) {
    const next = direction === 'asc' ? position + 1 : position;
    if (next < firstSequence) throw new SequenceExpired(position, firstSequence, 'page_token');
    if (direction === 'asc') return;
  }
  if (afterSequence > 0 && afterSequence + 1 < firstSequence) {
    throw new SequenceExpired(afterSequence, firstSequence, 'after_sequence');
  }
}

/** Two lists with the same fingerprint hold the same events in the same order. */
function fingerprintOf(query: EventQuery): string {
  const { workspaceId, createdAfter, createdBefore, afterSequence, direction } = query;
  const patterns = query.typePatterns.toSorted();
  const parts = [workspaceId, patterns, createdAfter, createdBefore, afterSequence, direction];
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 22);
}

function readPosition(list: string, pageToken: string): number | undefined {
  const position = decodePageToken(list, pageToken);
  if (position === undefined) return undefined;
  if (!/^\d{1,16}$/.test(position)) throw new InvalidPageToken();
  return Number(position);
}

/** The part of the log that the query's cursor and times, and retention, leave. */
async function findBounds(
  store: EventLogStore,
  query: EventQuery,
  position: number | undefined,
): Promise<{ low: number; high: number; firstSequence: number }> {
  const { workspaceId, createdAfter, createdBefore, afterSequence } = query;
  const { sequence: lastSequence, firstSequence } = await readLogEnd(store, workspaceId);
  assertKept(query, position, firstSequence);
  if (afterSequence > lastSequence) throw new SequenceInFuture(afterSequence, lastSequence);
  const [afterPlace, beforePlace] = await Promise.all([
    createdAfter && store.findPlaceOfTime(workspaceId, createdAfter, true),
    createdBefore && store.findPlaceOfTime(workspaceId, createdBefore, false),
  ]);
  return {
    low: Math.max(afterSequence, afterPlace ?? 0, firstSequence - 1),
    high: Math.min(lastSequence, beforePlace ?? lastSequence),
    firstSequence,
  };
}

/** Turns patterns into types where they are few, so that an index finds their events however rare. */
export async function selectTypes(
  store: Pick<EventLogStore, 'findTypes'>,
  workspaceId: string,
  patterns: readonly string[],
): Promise<TypeSelection> {
  if (patterns.length === 0 || patterns.includes('*')) return { kind: 'all' };
  const exact = patterns.filter((pattern) => !pattern.endsWith('*'));
  const prefixes = patterns
    .filter((pattern) => pattern.endsWith('*'))
    .map((one) => one.slice(0, -1));
  const types = new Set(exact);
  for (const prefix of prefixes) {
    const room = typesMax - types.size + 1;
    for (const type of await store.findTypes(workspaceId, prefix, room)) types.add(type);
    if (types.size > typesMax) return { kind: 'scan', types: exact, prefixes };
  }
  return { kind: 'types', types: [...types] };
}

function narrow(range: LogRange, selection: TypeSelection): LogRange {
  if (selection.kind !== 'scan') return range;
  return range.direction === 'asc'
    ? { ...range, high: Math.min(range.high, range.low + siftedMax) }
    : { ...range, low: Math.max(range.low, range.high - siftedMax) };
}
