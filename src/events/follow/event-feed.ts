import type { Event } from '../event.ts';
import { EventWorkspaceMissing, LogGap, LogSetBack, SequenceExpired } from '../event-errors.ts';
import type { NextChunk } from '../log/event-log-store.ts';
import {
  type LogEnd,
  type LogPlace,
  type LogState,
  placeAfter,
  placeAt,
} from '../log/log-place.ts';
import { assertGoesOn, type LogReader, readLog } from '../log/read-log.ts';
import type { FeedMemory } from './feed-memory.ts';
import { KeptEvents } from './kept-events.ts';
import { KnownState } from './known-state.ts';

/** What ends a feed for all who follow it. */
export type FeedFailure = LogGap | LogSetBack | EventWorkspaceMissing;

/** The newest part of one workspace's log, read once for all who follow it. */
export interface EventFeed {
  /** Up to where it was read. */
  readonly end: LogPlace;
  /** Floor and revision, as far as they are known here: what is kept is of this revision. */
  readonly state: Omit<KnownState, 'learn'>;
  /** The events after a sequence, as far as they are at hand; undefined: older than what is kept. */
  peek(afterSequence: number): readonly Event[] | undefined;
  /** Calls `listener` whenever the feed has read further, or has failed, until what it returns is called. */
  watch(listener: () => void): () => void;
  /**
   * Reads what was committed before this call, at least up to `knownLast`; concurrent calls share the
   * work.
   */
  advance(knownLast?: number): Promise<void>;
  /** Notes what the log's workspace has said: nothing is kept that is below the floor, or was read before an erasure. */
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
  const known = new KnownState(start);
  let failure: FeedFailure | undefined;
  const listeners = new Set<() => void>();
  let advancing: Promise<void> | undefined;
  let advanceAgain = false;
  let committed = start.sequence;

  async function readAll(): Promise<void> {
    try {
      do {
        advanceAgain = false;
        await readOn();
      } while (advanceAgain);
    } catch (error) {
      if (!isFeedFailure(error)) throw error;
      fail(error);
    } finally {
      // In the same turn as the last look at `advanceAgain`: whoever sets it later begins anew.
      advancing = undefined;
    }
  }

  async function readOn(): Promise<void> {
    const next = await readNext();
    if (next === undefined) return;
    await assertGoesOn(store, { workspaceId, place: end }, next);
    if (next.state !== undefined) learn(next.state);
    const newest = next.events.at(-1);
    if (newest === undefined) return;
    // Something was erased since it was read: whoever wants it reads it again.
    if (next.state?.revision === known.revision) kept.add(next.events);
    moveTo(placeAfter(newest));
  }

  /** Where retention has passed the feed, it goes on at the floor: who was to read on before that learns so alone. */
  async function readNext(): Promise<NextChunk | undefined> {
    const knownRevision = known.revision;
    try {
      return await readLog(store, { workspaceId, place: end, knownLast: committed, knownRevision });
    } catch (error) {
      if (!(error instanceof SequenceExpired)) throw error;
      kept.clear();
      moveTo(placeAt(error.firstSequence - 1));
      return undefined;
    }
  }

  function moveTo(place: LogPlace): void {
    end = place;
    advanceAgain = true;
    wake();
  }

  function wake(): void {
    for (const listener of listeners) listener();
  }

  function learn(state: LogState): void {
    const { revision } = known;
    known.learn(state);
    if (known.revision > revision) kept.clear();
    else kept.dropBefore(known.firstSequence);
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
    state: known,
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
  const failures = [LogGap, LogSetBack, EventWorkspaceMissing];
  return failures.some((failure) => error instanceof failure);
}
