import type { Client } from '@connectrpc/connect';
import type {
  EventsService,
  SubscribeEventsResponse,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { HarborError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { PayloadKeys } from '../payload-keys.ts';
import { advance } from './cursor.ts';
import type { Event } from './event.ts';
import { eventFromMessage, toSafeInteger } from './from-message.ts';
import { ReconnectingStream, type ReconnectingStreamDeps } from './reconnecting-stream.ts';
import type { SubscribeOptions } from './subscribe.ts';

/** @internal What a subscription is made of. */
export interface SubscriptionDeps
  extends Pick<
    ReconnectingStreamDeps,
    'timeoutMs' | 'idleMs' | 'random' | 'wait' | 'toHarborError'
  > {
  readonly client: Pick<Client<typeof EventsService>, 'subscribeEvents'>;
  readonly payloadKeys: PayloadKeys;
}

/** @internal Which events, after checking. */
export interface SubscriptionQuery {
  readonly workspaceId: string;
  readonly typePatterns: string[];
  /** The patterns were given as `types`. */
  readonly saysTypes: boolean;
  /** Empty: about anything. */
  readonly subject: string;
  readonly afterSequence: number | undefined;
}

/**
 * The events of a workspace as they are recorded: an async iterable that reconnects and resumes by
 * itself. Each event that matches is handed out exactly once, in the order of the log.
 *
 * It can be iterated once. It connects when the loop begins, reads on only when the loop asks for the
 * next event, and cuts the connection at once when the loop is left.
 */
export class EventSubscription<Payload extends object = JsonObject>
  implements AsyncIterable<Event<Payload>>
{
  readonly #payloadKeys: PayloadKeys;
  readonly #options: SubscribeOptions;
  readonly #stream: ReconnectingStream;
  #lastSequence: number | undefined;
  #isLive = false;
  #isUsed = false;

  /** @internal */
  constructor(deps: SubscriptionDeps, query: SubscriptionQuery, options: SubscribeOptions) {
    const { client, payloadKeys, ...rest } = deps;
    const { afterSequence, saysTypes, ...filter } = query;
    this.#payloadKeys = payloadKeys;
    this.#options = options;
    this.#lastSequence = afterSequence;
    this.#stream = new ReconnectingStream({
      ...rest,
      open: (signal) => client.subscribeEvents({ ...filter, ...this.#resumeAfter() }, { signal }),
      timeoutMs: options.timeoutMs ?? deps.timeoutMs,
      maxRetries: options.maxRetries ?? Number.POSITIVE_INFINITY,
      onDisconnect: () => {
        this.#isLive = false;
      },
      onReconnect: options.onReconnect,
      toHarborError: (thrown, call) => deps.toHarborError(thrown, { ...call, saysTypes }),
    });
  }

  /**
   * Everything up to this sequence has been handed out, or does not match. Store it once the event at
   * hand is dealt with, and pass it as `afterSequence` to go on from there after a restart. Undefined
   * in a subscription "from now" that has not been connected yet.
   */
  get lastSequence(): number | undefined {
    return this.#lastSequence;
  }

  /** True while connected and past the end of the log: events come as they are recorded. */
  get live(): boolean {
    return this.#isLive;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Event<Payload>, void, undefined> {
    if (this.#isUsed) throw usedTwice();
    this.#isUsed = true;
    const events = this.#events();
    return {
      next: () => events.next(),
      return: () => {
        // Here and not only in the generator, which would wait for a next() that is under way.
        this.#stream.close();
        return events.return();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  async *#events(): AsyncGenerator<Event<Payload>, void, undefined> {
    const { signal } = this.#options;
    const close = () => this.#stream.close();
    if (signal?.aborted) close();
    signal?.addEventListener('abort', close, { once: true });
    try {
      for (;;) {
        const message = await this.#stream.next();
        // It may have been closed while the message was on its way here: then nobody waits for it.
        if (message === undefined || this.#stream.isClosed) return;
        const event = this.#take(message);
        if (event !== undefined) yield event;
      }
    } finally {
      signal?.removeEventListener('abort', close);
      close();
    }
  }

  /**
   * Moves the cursor, and returns the event to hand out, if the message holds one. Kinds of message that
   * are added later only move the cursor.
   */
  #take({ message, sequence }: SubscribeEventsResponse): Event<Payload> | undefined {
    const event =
      message.case === 'event'
        ? eventFromMessage<Payload>(message.value, this.#payloadKeys)
        : undefined;
    this.#lastSequence = advance(this.#lastSequence, {
      sequence: toSafeInteger(sequence),
      eventSequence: event?.sequence,
    });
    if (message.case === 'caughtUp') {
      this.#isLive = true;
      this.#options.onLive?.(this.#lastSequence);
    }
    return event;
  }

  /** "From now" only until a first message has said where that is. */
  #resumeAfter(): { afterSequence?: bigint } {
    return this.#lastSequence === undefined ? {} : { afterSequence: BigInt(this.#lastSequence) };
  }
}

function usedTwice(): HarborError {
  return new HarborError(
    'A subscription can be iterated once. Subscribe again, with its lastSequence as afterSequence.',
    { code: 'failed_precondition', reason: 'SUBSCRIPTION_USED' },
  );
}
