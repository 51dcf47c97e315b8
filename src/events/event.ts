import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { EventTypeReserved } from './event-errors.ts';
import { checkPayload, type JsonObject } from './payload.ts';

/** What a caller wants to be kept beside the payload; at least one pair. */
export type Metadata = Readonly<Record<string, string>>;

/**
 * An event as it was recorded. It never changes, but that its content can be erased. What was not given is
 * undefined.
 */
export interface Event {
  /** `evt_…`. */
  readonly id: string;
  readonly workspaceId: string;
  readonly type: string;
  /** What it is about. */
  readonly subject?: string | undefined;
  /** Empty once it was erased. Of an event that was read it is parsed when it is asked for, each time anew. */
  readonly payload: JsonObject;
  /** The payload as it is stored: compact JSON, as `payload.ts` writes it. */
  readonly payloadJson: string;
  /** When it happened, in microseconds since the beginning of 1970, where that is not when it was recorded. */
  readonly occurredAtMicros?: bigint | undefined;
  readonly metadata?: Metadata | undefined;
  /** By the database's clock, in whole milliseconds. */
  readonly createdAt: Date;
  /** The place in the workspace's log: 1, 2, 3 …, no gaps, in commit order. */
  readonly sequence: number;
  /** The key that recorded it, `key_…`; undefined for the service's own events. */
  readonly apiKeyId?: string | undefined;
  /** When payload, subject and metadata were taken away, by the database's clock, in whole milliseconds. */
  readonly erasedAt?: Date | undefined;
  /** The `traceparent` of the call that recorded it; never shown, but sent with its webhooks. */
  readonly traceContext?: string | undefined;
}

/** What of an event is shown, and how it is written down is not. */
export type ShownEvent = Omit<Event, 'payloadJson'>;

/** What a caller asks to be recorded; its fields but the payload keep the contract's bounds. */
export interface NewEvent {
  readonly workspaceId: string;
  readonly type: string;
  readonly subject?: string | undefined;
  readonly payload: JsonObject;
  readonly occurredAtMicros?: bigint | undefined;
  readonly metadata?: Metadata | undefined;
  readonly idempotencyKey: string | undefined;
  /** The caller's key. */
  readonly apiKeyId?: string | undefined;
  /** The `traceparent` of the call, as W3C Trace Context has it; stamped, and never shown. */
  readonly traceContext?: string | undefined;
}

/** A new event whose payload was checked and written down, ready to be appended. */
export interface PreparedEvent extends NewEvent {
  /** Compact JSON of the payload: the bytes that are stored. */
  readonly payloadJson: string;
  readonly metadataJson: string | undefined;
  /** Bytes of payload, subject and metadata as they are stored. */
  readonly contentBytes: number;
  /** Set exactly when there is an idempotency key. */
  readonly fingerprint: Buffer | undefined;
}

/** The answer to a create. */
export interface Appended {
  readonly event: Event;
  /** An earlier call with the same idempotency key created the event. */
  readonly replayed: boolean;
  /** Set exactly when there was an idempotency key. */
  readonly idempotencyKeyExpiresAt: Date | undefined;
}

/** What the types of the service's own events begin with. */
const ownTypesPrefix = 'harbor.';
/** What no key of a caller begins with, nor holds: the contract has printable ASCII there. */
const ownKeysPrefix = '\u0001';

/**
 * Checks a caller's event, and writes its payload down once; what is stored, hashed and counted are the same
 * bytes.
 *
 * @throws EventTypeReserved, PayloadInvalid, PayloadTooLarge
 */
export function prepareEvent(event: NewEvent): PreparedEvent {
  if (isOwnType(event.type)) throw new EventTypeReserved();
  return prepare(event);
}

/** Whether events of a type are recorded by the service itself, and by nobody else. */
export function isOwnType(type: string): boolean {
  return type.startsWith(ownTypesPrefix);
}

/** An event that the service itself records. */
export interface OwnEvent {
  readonly workspaceId: string;
  readonly type: `${typeof ownTypesPrefix}${string}`;
  readonly payload: JsonObject;
  /** Records it once for all who come with this key within 24 hours; no caller's key is the same. */
  readonly key: string;
}

export function prepareOwnEvent({ workspaceId, type, payload, key }: OwnEvent): PreparedEvent {
  return prepare({ workspaceId, type, payload, idempotencyKey: ownKeysPrefix + key });
}

function prepare(event: NewEvent): PreparedEvent {
  const { subject, metadata, idempotencyKey } = event;
  const { json: payloadJson, bytes } = checkPayload(event.payload);
  const metadataJson = metadata && JSON.stringify(metadata);
  return {
    workspaceId: event.workspaceId,
    type: event.type,
    subject,
    payload: event.payload,
    occurredAtMicros: event.occurredAtMicros,
    metadata,
    idempotencyKey,
    apiKeyId: event.apiKeyId,
    traceContext: event.traceContext,
    payloadJson,
    metadataJson,
    contentBytes: bytes + bytesOf(subject) + bytesOf(metadataJson),
    fingerprint: idempotencyKey === undefined ? undefined : fingerprintOf(event),
  };
}

function bytesOf(text: string | undefined): number {
  return text === undefined ? 0 : Buffer.byteLength(text);
}

/**
 * SHA-256 over type, subject and payload in canonical form (RFC 8785), so that a retry matches whether it
 * comes as JSON or binary, and in whatever order its members stand. A retry may give another time of
 * occurrence and other metadata: they are not in it.
 *
 * Keys live for 24 hours, across versions of the service: without a subject it stays what it was before there
 * were subjects.
 */
export function fingerprintOf(event: Pick<NewEvent, 'type' | 'subject' | 'payload'>): Buffer {
  const { type, subject, payload } = event;
  const content = subject === undefined ? [type, payload] : [2, type, subject, payload];
  return hash('sha256', canonicalize(content) as string, 'buffer');
}
