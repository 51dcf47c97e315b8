import { matchesAny } from '../type-pattern.ts';
import type { Event } from './event.ts';
import { SequenceInFuture } from './event-errors.ts';
import type { EventFeeds } from './event-feeds.ts';
import { selectTypes } from './event-list.ts';
import type { EventLogStore, TypeSelection } from './event-log-store.ts';

/** What a subscriber is told; it resumes after `sequence`. */
export type StreamMessage =
  | { readonly kind: 'event'; readonly sequence: number; readonly event: Event }
  | { readonly kind: 'caught_up'; readonly sequence: number }
  | { readonly kind: 'heartbeat'; readonly sequence: number };

export interface SubscriptionOptions {
  readonly workspaceId: string;
  /** Undefined: from now. */
  readonly afterSequence: number | undefined;
  /** Empty: every type. */
  readonly typePatterns: readonly string[];
}

/** Silence is broken after this time, so that both sides know that the other one is there. */
export const heartbeatMs = 15_000;
const chunkEventsMax = 500;

/**
 * The log of a workspace from a place on, for ever: what is there, then `caught_up` once, then each event
 * as it is committed. Reads no further than its consumer has taken, so that a slow one costs nothing.
 * Ends by throwing the reason of `signal`.
 *
 * @throws SequenceInFuture, LogGap, DatabaseUnavailable
 */
export async function* subscribe(
  feeds: EventFeeds,
  store: EventLogStore,
  options: SubscriptionOptions,
  signal: AbortSignal,
): AsyncGenerator<StreamMessage, never> {
  const { workspaceId, typePatterns } = options;
  const now = (await store.readLastSequences([workspaceId])).get(workspaceId) ?? 0;
  let sequence = options.afterSequence ?? now;
  if (sequence > now) throw new SequenceInFuture(sequence, now);
  const { feed, leave } = await feeds.join(workspaceId);
  // The feed of others may not have heard yet of what is there.
  feeds.wake(workspaceId, now);
  const pause = createPause(signal);
  const unwatch = feed.watch(pause.end);
  try {
    const selection = await selectTypes(store, workspaceId, typePatterns);
    if (selection.kind === 'types') {
      const range = { workspaceId, low: sequence, high: now };
      for await (const event of readMatching(store, range, selection)) {
        signal.throwIfAborted();
        sequence = event.sequence;
        yield { kind: 'event', sequence, event };
      }
      sequence = now;
    }
    let isCaughtUp = false;
    let lastSaidAt = performance.now();
    for (;;) {
      signal.throwIfAborted();
      const events = await feeds.read(feed, workspaceId, sequence);
      for (const event of events) {
        signal.throwIfAborted();
        sequence = event.sequence;
        if (!matchesAny(typePatterns, event.type)) continue;
        yield { kind: 'event', sequence, event };
        lastSaidAt = performance.now();
      }
      if (events.length > 0 && performance.now() - lastSaidAt < heartbeatMs) continue;
      const end = Math.max(now, feed.lastSequence);
      if (!isCaughtUp && events.length === 0 && sequence >= end) {
        isCaughtUp = true;
        yield { kind: 'caught_up', sequence };
      } else {
        const quietMs = heartbeatMs - (performance.now() - lastSaidAt);
        if (quietMs > 0) {
          if (feed.lastSequence <= sequence) await pause.begin(quietMs);
          continue;
        }
        yield { kind: 'heartbeat', sequence };
      }
      lastSaidAt = performance.now();
    }
  } finally {
    unwatch();
    leave();
    pause.close();
  }
}

/**
 * The events of some types in a part of the log, by their index: a rare one is found at once. Of what is
 * left out nobody can say here whether it is there; the feed, which goes on from there, can.
 */
async function* readMatching(
  store: EventLogStore,
  { workspaceId, low, high }: { workspaceId: string; low: number; high: number },
  selection: TypeSelection,
): AsyncGenerator<Event> {
  for (let after = low; after < high; ) {
    const range = {
      workspaceId,
      low: after,
      high,
      direction: 'asc',
      limit: chunkEventsMax,
    } as const;
    const { events, isCut } = await store.read(range, selection);
    yield* events;
    if (!isCut && events.length < chunkEventsMax) return;
    after = events.at(-1)?.sequence ?? high;
  }
}

/** The waiting of one subscription: a thousand of them wait most of the time, so it is cheap. */
interface Pause {
  /** Resolves after a time, or when `end` is called, or the signal aborts. One at a time. */
  begin(timeoutMs: number): Promise<void>;
  end(): void;
  close(): void;
}

function createPause(signal: AbortSignal): Pause {
  let resume: (() => void) | undefined;
  const end = () => resume?.();
  signal.addEventListener('abort', end);
  return {
    begin(timeoutMs) {
      return new Promise((resolve) => {
        const timer = setTimeout(end, timeoutMs);
        resume = () => {
          resume = undefined;
          clearTimeout(timer);
          resolve();
        };
        if (signal.aborted) end();
      });
    },
    end,
    close: () => signal.removeEventListener('abort', end),
  };
}
