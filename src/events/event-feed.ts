import { cutByBytes } from './cut-by-bytes.ts';
import type { Event } from './event.ts';
import { LogGap } from './event-errors.ts';
import type { EventLogStore } from './event-log-store.ts';
import { wireBytesOf } from './payload.ts';

/**
 * What a feed keeps at hand for its subscribers: about a second of a busy log, 16 MiB of payloads at the
 * most. The bytes that its events are sent as hang on them, once for each form that somebody follows in.
 */
const keptEventsMax = 2_000;
const keptBytesMax = 16 * 1024 * 1024;
/** What is given out at once, and so held for a slow subscriber: as much as a read from the database. */
const chunkEventsMax = 500;
const chunkBytesMax = 2 * 1024 * 1024;

/** The newest part of one workspace's log, read once for all who follow it. */
export interface EventFeed {
  /** The highest sequence that was read. */
  readonly lastSequence: number;
  /** The events after a sequence, as far as they are at hand; undefined: older than what is kept. */
  peek(afterSequence: number): readonly Event[] | undefined;
  /** Calls `listener` whenever the feed has read further, or has failed, until what it returns is called. */
  watch(listener: () => void): () => void;
  /**
   * Reads what was committed before this call, at least up to `knownLast`; concurrent calls share the
   * work. A log that ends before a sequence that is known to be committed has a gap.
   */
  advance(knownLast?: number): Promise<void>;
}

/**
 * Follows a log from `startSequence` on. It asserts that the sequences which it reads are consecutive:
 * a transaction gives its numbers back when it rolls back, and holds the counter until it commits, so
 * whoever sees a number sees all lower ones.
 *
 * @param onGap is told of a sequence that is missing; every subscriber then fails with the same error.
 */
export function createEventFeed(
  store: Pick<EventLogStore, 'read'>,
  workspaceId: string,
  startSequence: number,
  onGap: (error: LogGap) => void,
): EventFeed {
  /** The newest events, and the bytes of each. */
  const kept: Event[] = [];
  const keptBytes: number[] = [];
  let keptBytesTotal = 0;
  let last = startSequence;
  let gap: LogGap | undefined;
  const listeners = new Set<() => void>();
  let advancing: Promise<void> | undefined;
  let advanceAgain = false;
  let committed = startSequence;

  async function readOn(): Promise<void> {
    try {
      do {
        advanceAgain = false;
        const events = await readLog(store, workspaceId, last, committed);
        if (events.length > 0) {
          keep(events);
          wake();
          advanceAgain = true;
        }
      } while (advanceAgain);
    } catch (error) {
      fail(error);
    } finally {
      // In the same turn as the last look at `advanceAgain`: whoever sets it later begins anew.
      advancing = undefined;
    }
  }

  function keep(events: readonly Event[]): void {
    for (const event of events) {
      const bytes = wireBytesOf(event.payload);
      kept.push(event);
      keptBytes.push(bytes);
      keptBytesTotal += bytes;
      last = event.sequence;
    }
    let dropped = 0;
    while (
      kept.length - dropped > keptEventsMax ||
      (keptBytesTotal > keptBytesMax && dropped < kept.length - 1)
    ) {
      keptBytesTotal -= keptBytes[dropped++] ?? 0;
    }
    kept.splice(0, dropped);
    keptBytes.splice(0, dropped);
  }

  function wake(): void {
    for (const listener of listeners) listener();
  }

  function fail(error: unknown): void {
    if (!(error instanceof LogGap)) throw error;
    gap = error;
    onGap(error);
    wake();
  }

  return {
    get lastSequence() {
      return last;
    },
    peek(afterSequence) {
      if (gap !== undefined) throw gap;
      if (afterSequence >= last) return [];
      const first = kept[0]?.sequence;
      if (first === undefined || afterSequence < first - 1) return undefined;
      const from = afterSequence - first + 1;
      const chunk = kept.slice(from, from + chunkEventsMax);
      return cutByBytes(chunk, (_, index) => keptBytes[from + index] ?? 0, chunkBytesMax);
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    advance(knownLast = startSequence) {
      if (gap !== undefined) return Promise.resolve();
      committed = Math.max(committed, knownLast);
      advanceAgain = true;
      advancing ??= readOn();
      return advancing;
    },
  };
}

/**
 * Reads the next chunk of a log: consecutive events from `afterSequence` + 1 on, none at its end.
 *
 * @param knownLast a sequence that was committed: up to it there must be events.
 * @throws LogGap, DatabaseUnavailable
 */
export async function readLog(
  store: Pick<EventLogStore, 'read'>,
  workspaceId: string,
  afterSequence: number,
  knownLast: number,
): Promise<readonly Event[]> {
  const { events } = await store.read(
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
    throw new LogGap(workspaceId, afterSequence, undefined);
  }
  events.forEach((event, index) => {
    const expected = afterSequence + 1 + index;
    if (event.sequence !== expected) throw new LogGap(workspaceId, expected - 1, event.sequence);
  });
  return events;
}
