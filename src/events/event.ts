import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { checkPayload, type JsonObject } from './payload.ts';

/** An event as it was recorded. It never changes. */
export interface Event {
  /** `evt_…`. */
  readonly id: string;
  readonly workspaceId: string;
  readonly type: string;
  readonly payload: JsonObject;
  /** By the database's clock, in whole milliseconds. */
  readonly createdAt: Date;
  /** The place in the workspace's log: 1, 2, 3 …, no gaps, in commit order. */
  readonly sequence: number;
}

/** What a caller asks to be recorded; its fields but the payload keep the contract's bounds. */
export interface NewEvent {
  readonly workspaceId: string;
  readonly type: string;
  readonly payload: JsonObject;
  readonly idempotencyKey: string | undefined;
}

/** A new event whose payload was checked and written down, ready to be appended. */
export interface PreparedEvent extends NewEvent {
  /** Compact JSON of the payload: the bytes that are stored. */
  readonly payloadJson: string;
  readonly payloadBytes: number;
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

/**
 * Checks the payload and writes it down once; what is stored, hashed and counted are the same bytes.
 *
 * @throws PayloadInvalid, PayloadTooLarge
 */
export function prepareEvent(event: NewEvent): PreparedEvent {
  const { json, bytes } = checkPayload(event.payload);
  return {
    workspaceId: event.workspaceId,
    type: event.type,
    payload: event.payload,
    idempotencyKey: event.idempotencyKey,
    payloadJson: json,
    payloadBytes: bytes,
    fingerprint: event.idempotencyKey === undefined ? undefined : fingerprintOf(event),
  };
}

/**
 * SHA-256 over type and payload in canonical form (RFC 8785), so that a retry matches whether it comes
 * as JSON or binary, and in whatever order its members stand.
 */
export function fingerprintOf(event: Pick<NewEvent, 'type' | 'payload'>): Buffer {
  return hash('sha256', canonicalize([event.type, event.payload]) as string, 'buffer');
}
