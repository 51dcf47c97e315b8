import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { EventSchema } from '../../gen/typescript/harbor/events/v1/event_pb.ts';
import {
  type CreateEventRequest,
  type CreateEventResponseSchema,
  EventOrder,
  type ListEventsRequest,
  type ListEventsResponseSchema,
  type RetrieveEventResponseSchema,
  type SubscribeEventsResponseSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { withJsonTexts } from '../json-texts.ts';
import { pageSizeOf } from '../page-token.ts';
import { fromMicros, toDate, toMicros } from '../timestamp.ts';
import type { Appended, Event, NewEvent, ShownEvent } from './event.ts';
import { toText, writeEventJson, writeEventProtoJson } from './event-json.ts';
import type { StreamMessage } from './follow/subscription.ts';
import type { EventFilter } from './log/event-filter.ts';
import type { EventPage, EventQuery } from './log/event-list.ts';

/** What of a create its message does not say: who sends it, and as part of which trace. */
export interface Origin {
  readonly apiKeyId: string;
  readonly traceContext: string | undefined;
}

/** @throws TimeOutOfRange */
export function toNewEvent(request: CreateEventRequest, origin: Origin): NewEvent {
  const { subject, occurredAt, metadata, idempotencyKey } = request;
  return {
    workspaceId: request.workspaceId,
    type: request.type,
    subject: subject === '' ? undefined : subject,
    // Required by the contract, so it is there.
    payload: request.payload as NewEvent['payload'],
    occurredAtMicros: occurredAt && toMicros('occurred_at', occurredAt),
    metadata: Object.keys(metadata).length === 0 ? undefined : metadata,
    idempotencyKey: idempotencyKey === '' ? undefined : idempotencyKey,
    apiKeyId: origin.apiKeyId,
    traceContext: origin.traceContext,
  };
}

export function toCreateEventResponse(
  appended: Appended,
): MessageInitShape<typeof CreateEventResponseSchema> {
  const { event, replayed, idempotencyKeyExpiresAt: expiresAt } = appended;
  const answer = {
    get event() {
      return toEventMessage(event);
    },
    replayed,
    get idempotencyKeyExpiresAt() {
      return expiresAt && timestampFromDate(expiresAt);
    },
  };
  return withJsonTexts(answer, {
    rpc() {
      const replay = replayed ? ',"replayed":true' : '';
      const expiry = expiresAt ? `,"idempotencyKeyExpiresAt":"${toText(expiresAt)}"` : '';
      return `{"event":${writeEventProtoJson(event)}${replay}${expiry}}`;
    },
    rest: () => writeEventJson(event),
  });
}

export function toRetrieveEventResponse(
  event: Event,
): MessageInitShape<typeof RetrieveEventResponseSchema> {
  const answer = {
    get event() {
      return toEventMessage(event);
    },
  };
  return withJsonTexts(answer, {
    rpc: () => `{"event":${writeEventProtoJson(event)}}`,
    rest: () => writeEventJson(event),
  });
}

export function toListEventsResponse({
  events,
  nextPageToken,
  firstSequence,
}: EventPage): MessageInitShape<typeof ListEventsResponseSchema> {
  const answer = {
    get events() {
      return events.map(toEventMessage);
    },
    nextPageToken,
    firstSequence: BigInt(firstSequence),
  };
  const token = JSON.stringify(nextPageToken);
  return withJsonTexts(answer, {
    rpc() {
      const parts = [`"firstSequence":"${firstSequence}"`];
      if (nextPageToken !== '') parts.unshift(`"nextPageToken":${token}`);
      if (events.length > 0) parts.unshift(`"events":[${events.map(writeEventProtoJson).join()}]`);
      return `{${parts.join()}}`;
    },
    rest: () =>
      `{"events":[${events.map(writeEventJson).join()}],"next_page_token":${token},` +
      `"first_sequence":${firstSequence}}`,
  });
}

export function toEventMessage(event: ShownEvent): MessageInitShape<typeof EventSchema> {
  const { subject, occurredAtMicros, metadata, apiKeyId, erasedAt } = event;
  return {
    id: event.id,
    type: event.type,
    workspaceId: event.workspaceId,
    get payload() {
      return event.payload;
    },
    createdAt: timestampFromDate(event.createdAt),
    sequence: BigInt(event.sequence),
    ...(subject !== undefined && { subject }),
    ...(occurredAtMicros !== undefined && { occurredAt: fromMicros(occurredAtMicros) }),
    ...(metadata !== undefined && { metadata }),
    ...(apiKeyId !== undefined && { apiKeyId }),
    ...(erasedAt !== undefined && { erasedAt: timestampFromDate(erasedAt) }),
  };
}

export function toEventQuery(request: ListEventsRequest, filter: EventFilter): EventQuery {
  const { createdAfter, createdBefore } = request;
  return {
    workspaceId: request.workspaceId,
    filter,
    // Events have whole milliseconds: what is after or before a fraction of one begins or ends there.
    createdAfter: createdAfter && toDate('created_after', createdAfter, Math.floor),
    createdBefore: createdBefore && toDate('created_before', createdBefore, Math.ceil),
    afterSequence: Number(request.afterSequence),
    direction: request.order === EventOrder.DESCENDING ? 'desc' : 'asc',
    pageSize: pageSizeOf(request.pageSize),
    pageToken: request.pageToken,
  };
}

export function toStreamResponse(
  message: StreamMessage,
): MessageInitShape<typeof SubscribeEventsResponseSchema> {
  const sequence = BigInt(message.sequence);
  switch (message.kind) {
    case 'event': {
      const { event } = message;
      const answer = {
        sequence,
        message: { case: 'event', value: toEventMessage(event) },
      } as const;
      return withJsonTexts(answer, {
        rpc: () => `{"event":${writeEventProtoJson(event)},"sequence":"${sequence}"}`,
        rest: () => writeEventJson(event),
      });
    }
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
