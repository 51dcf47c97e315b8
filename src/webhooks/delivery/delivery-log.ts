import {
  type Event,
  type EventFilter,
  type EventLogStore,
  type EventStore,
  isEverything,
  readMatching,
} from '../../events/index.ts';
import type { FailedStore } from './failed-store.ts';
import type { Cursor } from './target.ts';

/** A part of a log as it was read: the events after a place, all of them or those that a cursor asks for. */
export interface LogPart {
  readonly after: number;
  /** Up to here the log was looked through; `after` itself where there was nothing. */
  readonly end: number;
  /** By their sequence. */
  readonly events: readonly Event[];
  /** The first sequence that was kept when the events were read, where that is known. */
  readonly floor?: number | undefined;
}

/** What the engine reads of the log. */
export interface DeliveryLog {
  /** Consecutive events after a sequence, up to another; fewer than there are where they are many. */
  readAfter(workspaceId: string, after: number, upTo: number): Promise<LogPart>;
  /** What a cursor is sent of the log after where it stands, by the indexes of types and subjects. */
  readFor(cursor: Cursor, upTo: number): Promise<LogPart>;
  /** Whether the cursor takes so little of the log that it is better found than read through. */
  isNarrow(cursor: Cursor): boolean;
  /** Events by id, of those that are kept. */
  readByIds(ids: readonly string[]): Promise<ReadonlyMap<string, Event>>;
}

const eventsMax = 500;
const readTimeoutMs = 5_000;

export interface DeliveryLogDeps {
  readonly logs: EventLogStore;
  readonly events: Pick<EventStore, 'read'>;
  readonly failed: FailedStore;
}

/** The log as deliveries read it. */
export function createDeliveryLog({ logs, events: store, failed }: DeliveryLogDeps): DeliveryLog {
  return {
    async readAfter(workspaceId, after, upTo) {
      const { events, isCut, state } = await logs.read(rangeOf(workspaceId, after, upTo));
      const last = events.at(-1)?.sequence ?? after;
      const isWhole = !isCut && events.length < eventsMax && events.length > 0;
      const end = isWhole ? Math.max(last, upTo) : last;
      return { after, events, end, floor: state?.firstSequence };
    },

    async readFor(cursor, upTo) {
      const { target, scanned: after } = cursor;
      if (cursor.onlyFailed) return readFailed(cursor, upTo);
      const range = rangeOf(target.workspaceId, after, upTo);
      const { events, rest, state } = await readMatching(logs, { range, filter: filterOf(cursor) });
      return { after, events, end: rest?.low ?? upTo, floor: state?.firstSequence };
    },

    isNarrow: (cursor) => !isEverything(filterOf(cursor)),

    async readByIds(ids) {
      const found = new Map<string, Event>();
      for (let left: readonly string[] = ids; left.length > 0; ) {
        const { events, leftOut } = await store.read(left, readTimeoutMs);
        for (const [id, event] of events) found.set(id, event);
        left = leftOut;
      }
      return found;
    },
  };

  async function readFailed(cursor: Cursor, upTo: number) {
    const { target, scanned: after } = cursor;
    const entries = await failed.find(target.id, { after, upTo, limit: eventsMax });
    const { events, isCut } =
      entries.length === 0
        ? { events: [], isCut: false }
        : await logs.fetch(target.workspaceId, entries);
    const last = isCut ? events.at(-1)?.sequence : entries.at(-1)?.sequence;
    const isWhole = !isCut && entries.length < eventsMax;
    return { after, events, end: isWhole ? upTo : (last ?? upTo) };
  }
}

function rangeOf(workspaceId: string, low: number, high: number) {
  return { workspaceId, low, high, direction: 'asc', limit: eventsMax } as const;
}

/** What a cursor can be sent at the most. */
function filterOf({ target, typePatterns }: Cursor): EventFilter {
  return {
    subject: target.subject,
    typePatterns: typePatterns.length > 0 ? typePatterns : target.typePatterns,
  };
}
