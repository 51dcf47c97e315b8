import type { StreamSource } from '../../stream-source.ts';
import type { Event } from '../event.ts';
import { SequenceExpired, SequenceInFuture } from '../event-errors.ts';
import { type EventFilter, isEverything, passes } from '../log/event-filter.ts';
import { type LogPlace, placeAfter, placeAt } from '../log/log-place.ts';
import type { EventFeed } from './event-feed.ts';
import type { EventFeeds } from './event-feeds.ts';
import type { FeedMemory } from './feed-memory.ts';
import type { ContentRead } from './known-state.ts';

/** What a subscriber is told; it resumes after `sequence`. */
export type StreamMessage =
  | {
      readonly kind: 'event';
      readonly sequence: number;
      readonly event: Event;
      /** Told of what is hung on the event. */
      readonly memory: Pick<FeedMemory, 'hang'>;
    }
  | {
      readonly kind: 'caught_up';
      readonly sequence: number;
      /** The first that retention keeps. */
      readonly firstSequence: number;
    }
  | { readonly kind: 'heartbeat'; readonly sequence: number };

export interface SubscriptionOptions {
  readonly workspaceId: string;
  /** Undefined: from now; 0: from the first that retention keeps. */
  readonly afterSequence: number | undefined;
  readonly filter: EventFilter;
}

/**
 * The log of a workspace from a place on, for ever: what is there, then `caught_up` once, then each event
 * as it is committed. Reads no further than its consumer has taken, so that a slow one costs nothing.
 *
 * It ends with an error: the reason of `end`, SequenceExpired, LogGap, LogSetBack, EventWorkspaceMissing,
 * DatabaseUnavailable.
 */
export interface Subscription extends StreamSource<StreamMessage> {
  /** How many sequences of the log it has not come to yet. */
  readonly lag: number;
}

/** Silence is broken after this time, so that both sides know that the other one is there. */
export const heartbeatMs = 15_000;
const chunkEventsMax = 500;

/** @throws SequenceInFuture, SequenceExpired, EventWorkspaceMissing, DatabaseUnavailable */
export async function openSubscription(
  feeds: EventFeeds,
  options: SubscriptionOptions,
): Promise<Subscription> {
  const { workspaceId, filter, afterSequence } = options;
  const { sequence: now, firstSequence } = await feeds.readEnd(workspaceId);
  const isAtFloor = afterSequence === 0;
  const sequence = isAtFloor ? firstSequence - 1 : (afterSequence ?? now);
  if (sequence > now) throw new SequenceInFuture(sequence, now);
  if (sequence + 1 < firstSequence) {
    throw new SequenceExpired(sequence, firstSequence, 'after_sequence');
  }
  const { feed, leave } = await feeds.join(workspaceId);
  // The feed of others may not have heard yet of what is there.
  feeds.wake(workspaceId, now);
  const source = { feeds, feed, leave, workspaceId, filter, now };
  return new LogSubscription(source, {
    place: placeAt(sequence),
    isAtFloor,
    isLookingUp: !isEverything(filter) && sequence < now,
  });
}

interface Source {
  readonly feeds: EventFeeds;
  readonly feed: EventFeed;
  readonly leave: () => void;
  readonly workspaceId: string;
  readonly filter: EventFilter;
  /** The end of the log when the subscription began. */
  readonly now: number;
}

/** From where a subscription reads on. */
interface Position {
  /** What was told up to here. */
  readonly place: LogPlace;
  /** Nothing has been read yet from the first event on that is kept: where that is may move. */
  readonly isAtFloor: boolean;
  /** Whether what passes the filter is looked up: as far as the log went when the subscription began. */
  readonly isLookingUp: boolean;
}

/** Thousands of these wait most of the time: hence fields and one suspended call, no generators. */
class LogSubscription implements Subscription {
  readonly closing = new DisposableStack();
  readonly #source: Source;
  #position: Position;
  /** Where the messages that were given last begin. */
  #before: Position;
  given: ContentRead | undefined;
  #isCaughtUp = false;
  /** Whether there may be more than the last look at the feed has found: then it looks again, and does not wait. */
  #hasMore = true;
  #lastSaidAtMs = 0;
  #ended: { readonly reason: unknown } | undefined;
  #resume: (() => void) | undefined;
  /** Rejects the wait for a read. */
  #giveUp: ((reason: unknown) => void) | undefined;
  /** Takes a read of the database out of its queue. */
  #reading: AbortController | undefined;

  constructor(source: Source, position: Position) {
    this.#source = source;
    this.#position = position;
    this.#before = position;
    this.closing.defer(source.leave);
    this.closing.defer(source.feed.watch(() => this.#onNews()));
  }

  get lag(): number {
    return Math.max(0, this.#source.feed.end.sequence - this.#position.place.sequence);
  }

  async next(): Promise<readonly StreamMessage[]> {
    // What was said before has been taken by now.
    this.#lastSaidAtMs = performance.now();
    this.throwIfEnded();
    for (;;) {
      const messages = await this.#unlessEnded(this.#read());
      this.throwIfEnded();
      if (messages.length > 0) return messages;
      const quietMs = heartbeatMs - (performance.now() - this.#lastSaidAtMs);
      if (quietMs <= 0) return [{ kind: 'heartbeat', sequence: this.#position.place.sequence }];
      if (!this.#hasMore) await this.#pause(quietMs);
      this.throwIfEnded();
    }
  }

  end(reason: unknown): void {
    this.#ended ??= { reason };
    this.#giveUp?.(reason);
    this.#reading?.abort(reason);
    this.#resume?.();
  }

  throwIfEnded(): void {
    if (this.#ended !== undefined) throw this.#ended.reason;
  }

  takeBack(last: StreamMessage | undefined): void {
    this.#position =
      last === undefined
        ? this.#before
        : { ...this.#before, place: placeOf(last), isAtFloor: false };
    this.#hasMore = true;
  }

  /** A read may wait its turn for seconds; whoever is to end does not wait with it. */
  #unlessEnded<T>(reading: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      reading.then(resolve, reject);
    });
  }

  #untilEnded(): AbortSignal {
    this.#reading = new AbortController();
    if (this.#ended !== undefined) this.#reading.abort(this.#ended.reason);
    return this.#reading.signal;
  }

  async #read(): Promise<readonly StreamMessage[]> {
    this.#before = this.#position;
    try {
      return await (this.#position.isLookingUp ? this.#lookUp() : this.#follow());
    } catch (error) {
      const { isAtFloor } = this.#position;
      if (!isAtFloor || !(error instanceof SequenceExpired)) throw error;
      const place = placeAt(error.firstSequence - 1);
      this.#position = { ...this.#position, place };
      this.#hasMore = true;
      return [];
    } finally {
      this.#reading = undefined;
    }
  }

  /** The next messages of the feed, or, further back, of the database; none when nothing matches. */
  async #follow(): Promise<readonly StreamMessage[]> {
    const { feeds, feed, workspaceId, filter, now } = this.#source;
    const { place } = this.#position;
    this.#hasMore = false;
    const makeSignal = () => this.#untilEnded();
    const { events, content } = await feeds.read(feed, { workspaceId, place, makeSignal });
    this.given = content;
    const last = events.at(-1);
    if (last !== undefined) {
      this.#hasMore = true;
      this.#moveTo(placeAfter(last));
      return events.filter((event) => passes(filter, event)).map((event) => this.#toMessage(event));
    }
    if (this.#isCaughtUp || place.sequence < Math.max(now, feed.end.sequence)) return [];
    this.#isCaughtUp = true;
    this.given = undefined;
    const { firstSequence } = feed.state;
    return [{ kind: 'caught_up', sequence: place.sequence, firstSequence }];
  }

  /**
   * The next events that pass the filter, by an index: a rare one is found at once. Of what is left out nobody
   * can say here whether it is there; the feed, which goes on from there, can.
   */
  async #lookUp(): Promise<readonly StreamMessage[]> {
    const { feeds, feed, workspaceId, filter, now } = this.#source;
    const { sequence: low } = this.#position.place;
    const range = { workspaceId, low, high: now, direction: 'asc', limit: chunkEventsMax } as const;
    const query = { range, filter, signal: this.#untilEnded() };
    const { events, rest, content, firstSequence } = await feeds.lookUp(feed, query);
    this.given = content;
    if (low + 1 < firstSequence) throw new SequenceExpired(low, firstSequence);
    // Other events may stand between the last one and here.
    const place = placeAt(rest?.low ?? Math.max(low, now));
    this.#moveTo(place, { isLookingUp: rest !== undefined });
    return events.map((event) => this.#toMessage(event));
  }

  #moveTo(place: LogPlace, { isLookingUp } = { isLookingUp: false }): void {
    this.#position = { place, isAtFloor: false, isLookingUp };
  }

  /** Resolves after a time, or when the feed has read further or failed, or the subscription is to end. */
  #pause(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#resume?.(), timeoutMs);
      this.#resume = () => {
        this.#resume = undefined;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #toMessage(event: Event): StreamMessage {
    const { memory } = this.#source.feeds;
    return { kind: 'event', sequence: event.sequence, event, memory };
  }

  #onNews(): void {
    this.#hasMore = true;
    this.#resume?.();
  }
}

function placeOf(message: StreamMessage): LogPlace {
  return message.kind === 'event' ? placeAfter(message.event) : placeAt(message.sequence);
}
