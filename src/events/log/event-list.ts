import { hash } from 'node:crypto';
import { decodePageToken, encodePageToken } from '../../page-token.ts';
import type { Event } from '../event.ts';
import { SequenceExpired, SequenceInFuture } from '../event-errors.ts';
import { cutByWireBytes } from '../wire-bytes.ts';
import type { EventFilter } from './event-filter.ts';
import type { EventLogStore } from './event-log-store.ts';
import { readLogEnd } from './log-place.ts';
import { type LogRange, restAfter } from './log-range.ts';
import { readMatching } from './matching-events.ts';
import { unlessAborted } from './unless-aborted.ts';

/** Which events a list holds, and in which order. */
export interface EventQuery {
  readonly workspaceId: string;
  readonly filter: EventFilter;
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

/** The size of a page as protobuf, where numbers take more bytes than in JSON. */
const wireBytesMax = 2 * 1024 * 1024;

/**
 * Reads one page, in bounded time whatever the filter and the length of the log.
 *
 * @param signal of whoever waits for it, and then no more; what has its turn to come by then never has it.
 * @throws the reason of `signal`, SequenceInFuture, SequenceExpired, InvalidPageToken, EventWorkspaceMissing, DatabaseUnavailable
 */
export function listEvents(
  store: EventLogStore,
  query: EventQuery,
  signal?: AbortSignal,
): Promise<EventPage> {
  return unlessAborted(readPage(store, query, signal), signal);
}

async function readPage(
  store: EventLogStore,
  query: EventQuery,
  signal: AbortSignal | undefined,
): Promise<EventPage> {
  const { workspaceId, direction, pageSize } = query;
  const list = `events ${fingerprintOf(query)}`;
  const position = decodePageToken(list, query.pageToken, readSequence);
  const bounds = await findBounds(store, query, position);
  const low = direction === 'asc' ? Math.max(bounds.low, position ?? 0) : bounds.low;
  const high =
    direction === 'desc' ? Math.min(bounds.high, (position ?? Infinity) - 1) : bounds.high;
  if (low >= high) return { events: [], nextPageToken: '', firstSequence: bounds.firstSequence };

  const range = { workspaceId, low, high, direction, limit: pageSize };
  const matching = await readMatching(store, { range, filter: query.filter, signal });
  // Retention may have gone on since the bounds were found: below the floor, some events may be gone already.
  const { firstSequence } = matching.state ?? (await readLogEnd(store, workspaceId));
  assertKept(query, position, firstSequence);
  const kept = matching.events.filter(({ sequence }) => sequence >= firstSequence);
  // The first event always stays: alone it is below every limit.
  const events = cutByWireBytes(kept, wireBytesMax);
  const last = events.length < kept.length ? events.at(-1) : undefined;
  const rest = last === undefined ? matching.rest : restAfter(range, last.sequence);
  const next = rest && positionOf(rest, firstSequence);
  const nextPageToken = next === undefined ? '' : encodePageToken(list, `${next}`);
  return { events, nextPageToken, firstSequence };
}

/** Where the next page begins: after it, or, descending, before it. Undefined when nothing of it is kept. */
function positionOf({ direction, low, high }: LogRange, firstSequence: number): number | undefined {
  if (direction === 'asc') return Math.max(low, firstSequence - 1);
  return high < firstSequence ? undefined : high + 1;
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
  const { workspaceId, filter, createdAfter, createdBefore, afterSequence, direction } = query;
  const patterns = filter.typePatterns.toSorted();
  const parts: unknown[] = [
    workspaceId,
    patterns,
    createdAfter,
    createdBefore,
    afterSequence,
    direction,
  ];
  // Tokens do not expire: those of lists without a subject stay what they were before there were subjects.
  if (filter.subject !== undefined) parts.push(filter.subject);
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 22);
}

function readSequence(position: string): number | undefined {
  return /^\d{1,16}$/.test(position) ? Number(position) : undefined;
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
    // Events have whole milliseconds: up to a time is before the next one.
    createdAfter && store.findPlaceOfTime(workspaceId, new Date(createdAfter.getTime() + 1)),
    createdBefore && store.findPlaceOfTime(workspaceId, createdBefore),
  ]);
  return {
    low: Math.max(afterSequence, afterPlace ?? 0, firstSequence - 1),
    high: Math.min(lastSequence, beforePlace ?? lastSequence),
    firstSequence,
  };
}
