import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { EventSchema } from '../../gen/typescript/harbor/events/v1/event_pb.ts';
import type { SubscribeEventsResponseSchema } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { type JsonTexts, restJson, rpcJson } from '../json-texts.ts';
import type { Appended, Event } from './event.ts';
import { toText, writeEventJson, writeEventProtoJson } from './event-json.ts';
import { toEventMessage } from './event-message.rpc.ts';
import type { StreamMessage } from './follow/subscription.ts';
import type { EventPage } from './log/event-list.ts';

type EventMessage = MessageInitShape<typeof EventSchema>;

/** What is answered to a retrieve; as JSON, the event's payload is the text that is stored. */
export class RetrievedAnswer implements JsonTexts {
  readonly #event: Event;

  constructor(event: Event) {
    this.#event = event;
  }

  get event(): EventMessage {
    return toEventMessage(this.#event);
  }

  [rpcJson](): string {
    return `{"event":${writeEventProtoJson(this.#event)}}`;
  }

  [restJson](): string {
    return writeEventJson(this.#event);
  }
}

/** What is answered to a create. */
export class CreatedAnswer implements JsonTexts {
  readonly replayed: boolean;
  readonly #event: Event;
  readonly #expiresAt: Date | undefined;

  constructor({ event, replayed, idempotencyKeyExpiresAt }: Appended) {
    this.replayed = replayed;
    this.#event = event;
    this.#expiresAt = idempotencyKeyExpiresAt;
  }

  get event(): EventMessage {
    return toEventMessage(this.#event);
  }

  get idempotencyKeyExpiresAt() {
    return this.#expiresAt && timestampFromDate(this.#expiresAt);
  }

  [rpcJson](): string {
    const replayed = this.replayed ? ',"replayed":true' : '';
    const expiresAt =
      this.#expiresAt === undefined
        ? ''
        : `,"idempotencyKeyExpiresAt":"${toText(this.#expiresAt)}"`;
    return `{"event":${writeEventProtoJson(this.#event)}${replayed}${expiresAt}}`;
  }

  [restJson](): string {
    return writeEventJson(this.#event);
  }
}

/** A page of a list. */
export class PageAnswer implements JsonTexts {
  readonly nextPageToken: string;
  readonly firstSequence: bigint;
  readonly #events: readonly Event[];

  constructor({ events, nextPageToken, firstSequence }: EventPage) {
    this.nextPageToken = nextPageToken;
    this.firstSequence = BigInt(firstSequence);
    this.#events = events;
  }

  get events(): EventMessage[] {
    return this.#events.map(toEventMessage);
  }

  [rpcJson](): string[] {
    const { nextPageToken, firstSequence } = this;
    const next = nextPageToken === '' ? '' : `"nextPageToken":${JSON.stringify(nextPageToken)},`;
    const rest = `${next}"firstSequence":"${firstSequence}"}`;
    if (this.#events.length === 0) return [`{${rest}`];
    return ['{"events":[', ...inList(this.#events, writeEventProtoJson), `],${rest}`];
  }

  [restJson](): string[] {
    const next = JSON.stringify(this.nextPageToken);
    const rest = `],"next_page_token":${next},"first_sequence":${this.firstSequence}}`;
    return ['{"events":[', ...inList(this.#events, writeEventJson), rest];
  }
}

/** An event of a stream. */
export class StreamedAnswer implements JsonTexts {
  readonly sequence: bigint;
  readonly #event: Event;

  constructor(event: Event) {
    this.sequence = BigInt(event.sequence);
    this.#event = event;
  }

  get message() {
    return { case: 'event', value: toEventMessage(this.#event) } as const;
  }

  [rpcJson](): string {
    return `{"event":${writeEventProtoJson(this.#event)},"sequence":"${this.sequence}"}`;
  }

  [restJson](): string {
    return writeEventJson(this.#event);
  }
}

export function toStreamResponse(
  message: StreamMessage,
): MessageInitShape<typeof SubscribeEventsResponseSchema> {
  const sequence = BigInt(message.sequence);
  switch (message.kind) {
    case 'event':
      return new StreamedAnswer(message.event);
    case 'caught_up':
      return {
        sequence,
        message: {
          case: 'caughtUp',
          value: { firstSequence: BigInt(message.firstSequence) },
        },
      };
    case 'heartbeat':
      return { sequence, message: { case: 'heartbeat', value: {} } };
  }
}

function inList(events: readonly Event[], write: (event: Event) => string): string[] {
  return events.map((event, index) => (index === 0 ? write(event) : `,${write(event)}`));
}
