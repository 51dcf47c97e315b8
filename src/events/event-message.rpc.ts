import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { EventSchema } from '../../gen/typescript/harbor/events/v1/event_pb.ts';
import {
  type CreateEventRequest,
  EventOrder,
  type ListEventsRequest,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { pageSizeOf } from '../page-token.ts';
import { fromMicros, toMicros, toPeriod } from '../timestamp.ts';
import type { NewEvent, ShownEvent } from './event.ts';
import type { EventFilter } from './log/event-filter.ts';
import type { EventQuery } from './log/event-list.ts';

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

export function toEventMessage(event: ShownEvent): MessageInitShape<typeof EventSchema> {
  const { subject, occurredAtMicros, metadata, apiKeyId, erasedAt } = event;
  return {
    id: event.id,
    type: event.type,
    workspaceId: event.workspaceId,
    payload: event.payload,
    createdAt: timestampFromDate(event.createdAt),
    sequence: BigInt(event.sequence),
    ...(subject !== undefined && { subject }),
    ...(occurredAtMicros !== undefined && { occurredAt: fromMicros(occurredAtMicros) }),
    ...(metadata !== undefined && { metadata }),
    ...(apiKeyId !== undefined && { apiKeyId }),
    ...(erasedAt !== undefined && { erasedAt: timestampFromDate(erasedAt) }),
  };
}

/** @throws TimeOutOfRange */
export function toEventQuery(request: ListEventsRequest, filter: EventFilter): EventQuery {
  return {
    workspaceId: request.workspaceId,
    filter,
    ...toPeriod(request),
    afterSequence: Number(request.afterSequence),
    direction: request.order === EventOrder.DESCENDING ? 'desc' : 'asc',
    pageSize: pageSizeOf(request.pageSize),
    pageToken: request.pageToken,
  };
}
