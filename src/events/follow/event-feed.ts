import type { Event } from '../event.ts';
import { EventWorkspaceMissing, LogGap, LogSetBack, SequenceExpired } from '../event-errors.ts';
import type { LogEnd, LogPlace, LogState } from '../log/log-place.ts';
import { assertGoesOn, type LogReader, readLog } from '../log/read-log.ts';
import type { FeedMemory } from './feed-memory.ts';
import { KeptEvents } from './kept-events.ts';

/** What ends a feed for all who follow it. */
export type FeedFailure = LogGap | LogSetBack | SequenceExpired | EventWorkspaceMissing;

/** The newest part of one workspace's log, read once for all who follow it. */
export interface EventFeed {
  /** Up to where it was read. */
  readonly end: LogPlace;
  /** The first sequence that retention keeps, as far as is known here. */
  readonly firstSequence: number;
  /** The events after a sequence, as far as they are at hand; undefined: older than what is kept. */
  peek(afterSequence: number): readonly Event[] | undefined;
  /** Calls `listener` whenever the feed has read further, or has failed, until what it returns is called. */
  watch(listener: () => void): () => void;
  /**
   * Reads what was committed before this call, at least up to `knownLast`; concurrent calls share the
   * work.
   */
  advance(knownLast?: number): Promise<void>;
  /** Notes what the log's workspace has said: what is below the floor is kept no longer. */
  learn(state: LogState): void;
  /** Ends it for everybody: `peek` throws the error from now on. */
  fail(error: FeedFailure): void;
  /** For the last one to leave: it keeps nothing any more. */
  close(): void;
}

export interface FeedOptions {
  readonly workspaceId: string;
  readonly start: LogEnd;
  /** What it keeps is a share of this. */
  readonly memory: FeedMemory;
}

/**
 * Follows a log from `start` on. It asserts that the sequences which it reads are consecutive:
 * a transaction gives its numbers back when it rolls back, and holds the counter until it commits, so
 * whoever sees a number sees all lower ones.
 *
 * @param onFailure is told why it has ended; every subscriber then fails with the same error.
 */
export function createEventFeed(
  store: LogReader,
  { workspaceId, start, memory }: FeedOptions,
  onFailure: (error: FeedFailure) => void,
): EventFeed {
  const kept = new KeptEvents(memory);
  let end: LogPlace = start;
  let { firstSequence } = start;
  let failure: FeedFailure | undefined;
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
        if (next.state !== undefined) learn(next.state);
        const newest = next.events.at(-1);
        if (newest !== undefined) {
          end = { sequence: newest.sequence, eventId: newest.id };
          kept.add(next.events);
          wake();
          advanceAgain = true;
        }
      } while (advanceAgain);
    } catch (error) {
      if (!isFeedFailure(error)) throw error;
      fail(error);
    } finally {
      // In the same turn as the last look at `advanceAgain`: whoever sets it later begins anew.
      advancing = undefined;
    }
  }

  function wake(): void {
    for (const listener of listeners) listener();
  }

  function learn(state: LogState): void {
    if (state.firstSequence <= firstSequence) return;
    firstSequence = state.firstSequence;
    kept.dropBefore(firstSequence);
  }

  function fail(error: FeedFailure): void {
    if (failure !== undefined) return;
    failure = error;
    kept.close();
    onFailure(error);
    wake();
  }

  return {
    get end() {
      return end;
    },
    get firstSequence() {
      return firstSequence;
    },
    peek(afterSequence) {
      if (failure !== undefined) throw failure;
      if (afterSequence >= end.sequence) return [];
      return kept.after(afterSequence);
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
    learn,
    fail,
    close: () => kept.close(),
  };
}

function isFeedFailure(error: unknown): error is FeedFailure {
  const failures = [LogGap, LogSetBack, SequenceExpired, EventWorkspaceMissing];
  return failures.some((failure) => error instanceof failure);
}
