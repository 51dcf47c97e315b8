import { WebhookVerificationError } from '../errors.ts';
import type { Event } from '../events/event.ts';
import { exactTimeToDate, exactTimeToText, findExactTime } from '../events/exact-time.ts';
import type { JsonObject } from '../json.ts';
import type { PayloadKeys } from '../payload-keys.ts';
import { parseJson } from './parse-json.ts';

/** The event of a webhook's body. Throws WebhookVerificationError (body) for what is none. */
export function eventFromJson<Payload extends object>(
  body: Uint8Array,
  keys: PayloadKeys,
): Event<Payload> {
  const json = parseObject(body);
  const { sequence, payload } = json;
  if (!Number.isSafeInteger(sequence)) throw invalidBody('sequence');
  if (!isObject(payload)) throw invalidBody('payload');
  return {
    id: toText(json, 'id'),
    type: toText(json, 'type'),
    workspaceId: toText(json, 'workspace_id'),
    // The caller's word for what the workspace holds; see Event.payload.
    payload: keys.fromWire(payload) as Payload,
    createdAt: toDate(json, 'created_at'),
    sequence: sequence as number,
    ...factsFromJson(json),
  };
}

type EventFacts = Pick<
  Event,
  'subject' | 'occurredAt' | 'occurredAtExact' | 'metadata' | 'erasedAt'
>;

/** What an event may have, and has only where it is set. */
function factsFromJson(json: JsonObject): EventFacts {
  const { subject, occurred_at: occurredAt, metadata, erased_at: erasedAt } = json;
  return {
    ...(subject !== undefined && { subject: toText(json, 'subject') }),
    ...(occurredAt !== undefined && {
      occurredAt: toDate(json, 'occurred_at'),
      occurredAtExact: exactTimeToText(toTime(json, 'occurred_at')),
    }),
    ...(metadata !== undefined && { metadata: toMetadata(metadata) }),
    ...(erasedAt !== undefined && { erasedAt: toDate(json, 'erased_at') }),
  };
}

function parseObject(body: Uint8Array): JsonObject {
  try {
    const json = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(body));
    if (isObject(json)) return json;
  } catch {
    // Told below: what is wrong with it helps nobody who has not written it.
  }
  throw new WebhookVerificationError('body', 'The body is not a JSON object.');
}

function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function toText(json: JsonObject, name: string): string {
  const value = json[name];
  if (typeof value === 'string' && value !== '') return value;
  throw invalidBody(name);
}

function toTime(json: JsonObject, name: string) {
  const time = findExactTime(toText(json, name));
  if (time === undefined) throw invalidBody(name);
  return time;
}

function toDate(json: JsonObject, name: string): Date {
  return exactTimeToDate(toTime(json, name));
}

function toMetadata(metadata: unknown): Record<string, string> {
  const isMetadata =
    isObject(metadata) && Object.values(metadata).every((value) => typeof value === 'string');
  if (!isMetadata) throw invalidBody('metadata');
  return metadata as Record<string, string>;
}

function invalidBody(name: string): WebhookVerificationError {
  return new WebhookVerificationError(
    'body',
    `The body is not an event of Harbor Events: ${name} is missing or malformed.`,
  );
}
