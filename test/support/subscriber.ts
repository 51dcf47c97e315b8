import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  SubscribeEventsRequestSchema,
  SubscribeEventsResponse,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { type Refusal, refusalOf } from './errors.ts';
import type { EventsClient } from './log-wires.ts';

/** A subscriber that reads as fast as it can and keeps what it read. */
export interface Subscriber {
  /** What has arrived so far. */
  readonly messages: readonly SubscribeEventsResponse[];
  /** Resolves with all messages once `isEnough` says so; rejects when the stream ends before. */
  until(
    isEnough: (messages: readonly SubscribeEventsResponse[]) => boolean,
  ): Promise<readonly SubscribeEventsResponse[]>;
  /** Resolves when `caught_up` has arrived. */
  caughtUp(): Promise<readonly SubscribeEventsResponse[]>;
  /** Resolves when so many events have arrived. */
  events(count: number): Promise<readonly SubscribeEventsResponse[]>;
  /** Resolves with the error that ended the stream. */
  readonly ended: Promise<Refusal>;
  /** Goes away; resolves when the stream has ended. */
  leave(): Promise<void>;
}

export function subscribeTo(
  client: EventsClient,
  request: MessageInitShape<typeof SubscribeEventsRequestSchema>,
): Subscriber {
  const messages: SubscribeEventsResponse[] = [];
  const left = new AbortController();
  let arrived = Promise.withResolvers<void>();

  async function read(): Promise<never> {
    for await (const message of client.subscribeEvents(request, { signal: left.signal })) {
      messages.push(message);
      arrived.resolve();
      arrived = Promise.withResolvers();
    }
    throw new Error('a stream of events ended without an error');
  }
  const reading = read();
  reading.catch(() => undefined);

  async function until(isEnough: (messages: readonly SubscribeEventsResponse[]) => boolean) {
    while (!isEnough(messages)) await Promise.race([arrived.promise, reading]);
    return messages;
  }

  return {
    messages,
    until,
    caughtUp: () => until((all) => all.some(({ message }) => message.case === 'caughtUp')),
    events: (count) => until((all) => sequencesIn(all).length >= count),
    ended: refusalOf(reading),
    async leave() {
      left.abort();
      await reading.catch(() => undefined);
    },
  };
}

/** The sequences of the events among messages, in the order in which they came. */
export function sequencesIn(messages: readonly SubscribeEventsResponse[]): number[] {
  return messages.flatMap(({ message }) =>
    message.case === 'event' ? [Number(message.value.sequence)] : [],
  );
}

/** What kinds of messages came, in order; heartbeats left out. */
export function kindsOf(messages: readonly SubscribeEventsResponse[]): (string | undefined)[] {
  return messages.map(({ message }) => message.case).filter((kind) => kind !== 'heartbeat');
}

/** 1, 2, 3 … or, with two arguments, every whole number from the first to the second. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
