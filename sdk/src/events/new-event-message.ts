import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CreateEventRequestSchema } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { makeIdempotencyKey, parseIdempotencyKey } from '../idempotency-key.ts';
import { type PayloadIntegers, refuseUnsafeIntegers } from '../payload-integers.ts';
import { toJsonObject } from '../payload-json.ts';
import type { PayloadKeys } from '../payload-keys.ts';
import type { NewEvent } from './event.ts';
import { parseExactTime, parseMetadata, parseSubject, requireString } from './request-fields.ts';

/** A create as it is sent. It always has an idempotency key, so that it can be sent again. */
export type NewEventMessage = MessageInitShape<typeof CreateEventRequestSchema> & {
  readonly idempotencyKey: string;
};

/** An event to create, whatever its payload is typed as. */
export type UncheckedEvent = Omit<NewEvent, 'payload'> & { readonly payload: unknown };

/** How a payload is made ready for the wire. */
export interface PayloadRules {
  readonly payloadKeys: PayloadKeys;
  readonly payloadIntegers: PayloadIntegers;
}

/** Throws InvalidRequestError or InvalidOptionError. An absent key is made. */
export function newEventToMessage(
  event: UncheckedEvent,
  idempotencyKey: unknown,
  rules: PayloadRules,
): NewEventMessage {
  const key =
    idempotencyKey === undefined ? makeIdempotencyKey() : parseIdempotencyKey(idempotencyKey);
  const workspaceId = requireString('workspaceId', event.workspaceId);
  const type = requireString('type', event.type);
  const payload = toJsonObject(event.payload);
  if (rules.payloadIntegers === 'safe') refuseUnsafeIntegers(payload);
  return {
    workspaceId,
    type,
    payload: rules.payloadKeys.toWire(payload),
    idempotencyKey: key,
    subject: parseSubject(event.subject) ?? '',
    ...parseExactTime('occurredAt', event.occurredAt),
    metadata: parseMetadata(event.metadata),
  };
}
