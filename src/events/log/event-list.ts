import { hash } from 'node:crypto';
import { decodePageToken, encodePageToken, InvalidPageToken } from '../../page-token.ts';
import type { Event } from '../event.ts';
import { SequenceInFuture } from '../event-errors.ts';
import { wireBytesOf } from '../payload.ts';
import { cutByBytes } from './cut-by-bytes.ts';
import type { EventLogStore, LogRange, TypeSelection } from './event-log-store.ts';
import { logStart } from './log-place.ts';

/** Which events a list holds, and in which order. */
export interface EventQuery {
  readonly workspaceId: string;
  /** Empty: every type. */
  readonly typePatterns: readonly string[];
  readonly createdAfter: Date | undefined;
  readonly createdBefore: Date | undefined;
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
 * @throws SequenceInFuture, InvalidPageToken, DatabaseUnavailable
 */
export async function listEvents(store: EventLogStore, query: EventQuery): Promise<EventPage> {
  const { workspaceId, direction, pageSize } = query;
  const list = `events ${fingerprintOf(query)}`;
  const position = readPosition(list, query.pageToken);
  const bounds = await findBounds(store, query);
  const low = direction === 'asc' ? Math.max(bounds.low, position ?? 0) : bounds.low;
  const high =
    direction === 'desc' ? Math.min(bounds.high, (position ?? Infinity) - 1) : bounds.high;
  if (low >= high) return { events: [], nextPageToken: '' };

  const selection = await selectTypes(store, workspaceId, query.typePatterns);
  const range = narrow({ workspaceId, low, high, direction, limit: pageSize }, selection);
  const chunk = await store.read(range, selection);
  // The first event always stays: alone it is below every limit.
  const events = cutByBytes(chunk.events, bytesOnWire, wireBytesMax);
  // Full or cut: the next page begins after its last event. Else the range was seen to its end.
  const isFull = chunk.isCut || events.length === pageSize || events.length < chunk.events.length;
  const rangeEnd = direction === 'asc' ? range.high : range.low + 1;
  const next = isFull ? (events.at(-1)?.sequence ?? rangeEnd) : rangeEnd;
  const isEnd = direction === 'asc' ? next >= high : next <= low + 1;
  return { events, nextPageToken: isEnd ? '' : encodePageToken(list, `${next}`) };
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

/** The part of the log that the query's cursor and times leave. */
async function findBounds(
  store: EventLogStore,
  query: EventQuery,
): Promise<{ low: number; high: number }> {
  const { workspaceId, createdAfter, createdBefore, afterSequence } = query;
  const ends = await store.readLogEnds([workspaceId]);
  const { sequence: lastSequence } = ends.get(workspaceId) ?? logStart;
  if (afterSequence > lastSequence) throw new SequenceInFuture(afterSequence, lastSequence);
  const [afterPlace, beforePlace] = await Promise.all([
    createdAfter && store.findPlaceOfTime(workspaceId, createdAfter, true),
    createdBefore && store.findPlaceOfTime(workspaceId, createdBefore, false),
  ]);
  return {
    low: Math.max(afterSequence, afterPlace ?? 0),
    high: Math.min(lastSequence, beforePlace ?? lastSequence),
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

function bytesOnWire({ payload, type }: Event): number {
  return wireBytesOf(payload) + Buffer.byteLength(type) + 256;
}
