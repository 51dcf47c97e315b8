import { setTimeout as delay } from 'node:timers/promises';
import { matchesAny } from '../type-pattern.ts';
import type { Event } from './event.ts';
import { SequenceInFuture } from './event-errors.ts';
import type { EventFeed } from './event-feed.ts';
import type { EventFeeds } from './event-feeds.ts';
import { selectTypes } from './event-list.ts';
import type { EventLogStore } from './event-log-store.ts';

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
  try {
    if (typePatterns.length > 0) {
      for await (const event of catchUp(store, options, sequence, now)) {
        signal.throwIfAborted();
        sequence = event.sequence;
        yield { kind: 'event', sequence, event };
      }
      sequence = Math.max(sequence, now);
    }
    let isCaughtUp = false;
    let lastSaidAt = performance.now();
    for (;;) {
      signal.throwIfAborted();
      const events = await feeds.read(feed, workspaceId, sequence);
      for (const event of events) {
        sequence = event.sequence;
        if (!matchesAny(typePatterns, event.type)) continue;
        yield { kind: 'event', sequence, event };
        lastSaidAt = performance.now();
      }
      if (events.length > 0 && performance.now() - lastSaidAt < heartbeatMs) continue;
      if (!isCaughtUp && events.length === 0 && sequence >= feed.lastSequence) {
        isCaughtUp = true;
        yield { kind: 'caught_up', sequence };
      } else {
        const quietMs = heartbeatMs - (performance.now() - lastSaidAt);
        if (await changedWithin(feed, sequence, quietMs, signal)) continue;
        yield { kind: 'heartbeat', sequence };
      }
      lastSaidAt = performance.now();
    }
  } finally {
    leave();
  }
}

/** The matching events up to `high`, found by the index of types, so that a rare one is found at once. */
async function* catchUp(
  store: EventLogStore,
  { workspaceId, typePatterns }: SubscriptionOptions,
  low: number,
  high: number,
): AsyncGenerator<Event> {
  const selection = await selectTypes(store, workspaceId, typePatterns);
  if (selection.kind !== 'types') return;
  for (let after = low; ; ) {
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

/** Whether the feed went past a sequence within a time; throws the signal's reason when that aborts. */
async function changedWithin(
  feed: EventFeed,
  sequence: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const changed = feed.changed();
  if (feed.lastSequence > sequence) return true;
  const settled = new AbortController();
  const timer = delay(Math.max(0, timeoutMs), false, {
    signal: AbortSignal.any([signal, settled.signal]),
  }).catch(() => false);
  const isChanged = await Promise.race([changed.then(() => true), timer]);
  settled.abort();
  signal.throwIfAborted();
  return isChanged;
}
