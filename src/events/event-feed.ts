import { cutByBytes } from './cut-by-bytes.ts';
import type { Event } from './event.ts';
import { LogGap, LogSetBack } from './event-errors.ts';
import type { LogPlace } from './log-place.ts';
import { wireBytesOf } from './payload.ts';
import { assertGoesOn, type LogReader, readLog } from './read-log.ts';

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
  /** Up to where it was read. */
  readonly end: LogPlace;
  /** The events after a sequence, as far as they are at hand; undefined: older than what is kept. */
  peek(afterSequence: number): readonly Event[] | undefined;
  /** Calls `listener` whenever the feed has read further, or has failed, until what it returns is called. */
  watch(listener: () => void): () => void;
  /**
   * Reads what was committed before this call, at least up to `knownLast`; concurrent calls share the
   * work.
   */
  advance(knownLast?: number): Promise<void>;
  /** Ends it for everybody: `peek` throws the error from now on. */
  fail(error: LogGap | LogSetBack): void;
}

/**
 * Follows a log from `start` on. It asserts that the sequences which it reads are consecutive:
 * a transaction gives its numbers back when it rolls back, and holds the counter until it commits, so
 * whoever sees a number sees all lower ones.
 *
 * @param onFailure is told of a sequence that is missing, and of a log that was set back; every subscriber
 * then fails with the same error.
 */
export function createEventFeed(
  store: LogReader,
  { workspaceId, start }: { readonly workspaceId: string; readonly start: LogPlace },
  onFailure: (error: LogGap | LogSetBack) => void,
): EventFeed {
  /** The newest events, and the bytes of each. */
  const kept: Event[] = [];
  const keptBytes: number[] = [];
  let keptBytesTotal = 0;
  let end = start;
  let failure: LogGap | LogSetBack | undefined;
  const listeners = new Set<() => void>();
  let advancing: Promise<void> | undefined;
  let advanceAgain = false;
  let committed = start.sequence;

  async function readAll(): Promise<void> {
    try {
      do {
        advanceAgain = false;
        const { sequence: afterSequence } = end;
        const next = await readLog(store, { workspaceId, afterSequence, knownLast: committed });
        await assertGoesOn(store, { workspaceId, place: end }, next);
        const { events } = next;
        if (events.length > 0) {
          keep(events);
          wake();
          advanceAgain = true;
        }
      } while (advanceAgain);
    } catch (error) {
      if (!(error instanceof LogGap || error instanceof LogSetBack)) throw error;
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
      end = { sequence: event.sequence, eventId: event.id };
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

  function fail(error: LogGap | LogSetBack): void {
    if (failure !== undefined) return;
    failure = error;
    onFailure(error);
    wake();
  }

  return {
    get end() {
      return end;
    },
    peek(afterSequence) {
      if (failure !== undefined) throw failure;
      if (afterSequence >= end.sequence) return [];
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
    advance(knownLast = start.sequence) {
      if (failure !== undefined) return Promise.resolve();
      committed = Math.max(committed, knownLast);
      advanceAgain = true;
      advancing ??= readAll();
      return advancing;
    },
    fail,
  };
}
