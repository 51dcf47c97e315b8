import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import type { Event as EventMessage } from '../../../gen/typescript/harbor/events/v1/event_pb.ts';
import type { CreateEventResponse } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { SentKeys } from '../caller.ts';
import { InternalError } from '../errors.ts';
import type { PayloadKeys } from '../payload-keys.ts';
import type { CreatedEvent, Event } from './event.ts';
import { exactTimeToDate, exactTimeToText } from './exact-time.ts';

/** The event in the caller's terms. Throws InternalError (RESPONSE_INVALID) when it is not whole. */
export function eventFromMessage<Payload extends object>(
  message: EventMessage | undefined,
  keys: PayloadKeys,
  sent?: SentKeys,
): Event<Payload> {
  if (message?.payload === undefined || message.createdAt === undefined) {
    throw invalidResponse('holds no whole event', sent);
  }
  return {
    id: message.id,
    type: message.type,
    workspaceId: message.workspaceId,
    // The caller's word for what the workspace holds; see Event.payload.
    payload: keys.fromWire(message.payload) as Payload,
    createdAt: timestampDate(message.createdAt),
    sequence: toSafeInteger(message.sequence, sent),
    ...factsFromMessage(message),
  };
}

type EventFacts = Pick<
  Event,
  'subject' | 'occurredAt' | 'occurredAtExact' | 'metadata' | 'apiKeyId' | 'erasedAt'
>;

/** What an event may have, and has only where it is set. */
function factsFromMessage(message: EventMessage): EventFacts {
  const { subject, occurredAt, metadata, apiKeyId, erasedAt } = message;
  return {
    ...(subject !== '' && { subject }),
    ...(occurredAt !== undefined && timesFromMessage(occurredAt)),
    ...(Object.keys(metadata).length > 0 && { metadata }),
    ...(apiKeyId !== '' && { apiKeyId }),
    ...(erasedAt !== undefined && { erasedAt: timestampDate(erasedAt) }),
  };
}

function timesFromMessage(time: Timestamp): Pick<Event, 'occurredAt' | 'occurredAtExact'> {
  return { occurredAt: exactTimeToDate(time), occurredAtExact: exactTimeToText(time) };
}

/** The created event in the caller's terms. Throws InternalError (RESPONSE_INVALID), with `sent`. */
export function createdEventFromMessage<Payload extends object>(
  message: CreateEventResponse,
  keys: PayloadKeys,
  sent: SentKeys,
): CreatedEvent<Payload> {
  return {
    ...eventFromMessage<Payload>(message.event, keys, sent),
    replayed: message.replayed,
    ...expiryFromMessage(message.idempotencyKeyExpiresAt),
  };
}

function expiryFromMessage(
  expiresAt: Timestamp | undefined,
): Pick<CreatedEvent, 'idempotencyKeyExpiresAt'> {
  return expiresAt === undefined ? {} : { idempotencyKeyExpiresAt: timestampDate(expiresAt) };
}

/** int64 on the wire; a number here, which is exact up to 2^53 − 1. */
export function toSafeInteger(sequence: bigint, sent?: SentKeys): number {
  const number = Number(sequence);
  if (!Number.isSafeInteger(number)) throw invalidResponse(`has the sequence ${sequence}`, sent);
  return number;
}

/** The error of an answer that breaks the contract. */
export function invalidResponse(finding: string, sent?: SentKeys): InternalError {
  return new InternalError(`The answer ${finding}. Check that baseUrl is Harbor Events.`, {
    ...sent,
    code: 'internal',
    reason: 'RESPONSE_INVALID',
  });
}
