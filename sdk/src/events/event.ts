import type { JsonObject } from '../json.ts';
import type { Names } from '../known-names.ts';

/**
 * Something that happened in a workspace. Events never change after they were created, but that their content
 * can be erased. What was not given when an event was created is absent.
 */
export interface Event<Payload extends object = JsonObject> {
  /** evt_ and 26 characters; unique over all workspaces. */
  readonly id: string;
  /** What happened, for example 'invoice.paid'. */
  readonly type: string;
  /** The workspace whose log holds the event: ws_… */
  readonly workspaceId: string;
  /**
   * The JSON object that was recorded, its keys rewritten by fromWireKeys unless the client was made
   * with `payloadKeys: 'preserve'`. Numbers are IEEE-754 doubles. The type is the caller's word.
   */
  readonly payload: Payload;
  /** When the event was recorded, by the service's clock, in milliseconds. */
  readonly createdAt: Date;
  /** The event's place in its workspace's log: 1, 2, 3 …, without gaps, in commit order. */
  readonly sequence: number;
  /** What the event is about, for example 'inv_0192ac4e8b1d'. */
  readonly subject?: string;
  /** When it happened, where that is not when it was recorded; in whole milliseconds, rounded down. */
  readonly occurredAt?: Date;
  /** `occurredAt` to the microsecond, which a Date does not hold: '2026-05-25T11:58:03.000125Z'. */
  readonly occurredAtExact?: string;
  /** What was to be kept beside the payload; its names are as they were given. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The API key that recorded the event: key_…; absent in the service's own events. */
  readonly apiKeyId?: string;
  /** When payload, subject and metadata were erased. The payload is empty then. */
  readonly erasedAt?: Date;
}

/** An event that `create` returned. */
export interface CreatedEvent<Payload extends object = JsonObject> extends Event<Payload> {
  /** True when an earlier create with the same idempotency key recorded the event. */
  readonly replayed: boolean;
  /** When the idempotency key can be used for a new event: 24 hours after the first create with it. */
  readonly idempotencyKeyExpiresAt?: Date;
}

/** An event to create. Other names are refused: an event that was read is not taken as a whole. */
export interface NewEvent<Payload extends object = JsonObject> {
  /** The workspace to record it in: ws_… */
  readonly workspaceId: string;
  /**
   * What happened, for example 'invoice.paid': 1–255 characters, no control characters, no '*', no comma, no
   * blanks at its ends. Types that begin with 'harbor.' are the service's own, and refused.
   */
  readonly type: string;
  /**
   * A JSON object: at most 262,144 bytes of compact JSON, as it goes over the wire, and 32 levels deep.
   * Dates are recorded as ISO strings, undefined members are left out; send integers beyond 2^53 − 1 as
   * strings (see `payloadIntegers`). Unless Payload is given, any object is taken and checked when it is sent.
   */
  readonly payload: JsonObject extends Payload ? object : Payload;
  /**
   * What the event is about, for example 'inv_0192ac4e8b1d', by which it can be listed: 1–255 characters, no
   * control characters, no '*', no blanks at its ends. Part of what an idempotency key stands for.
   */
  readonly subject?: string | undefined;
  /**
   * When it happened, where that is not when it is recorded: a Date, or a text in the form of RFC 3339, which
   * holds microseconds; what is smaller is cut off. An idempotency key does not stand for it: in a replay that of the
   * original stays.
   */
  readonly occurredAt?: Date | string | undefined;
  /**
   * What is to be kept beside the payload, such as correlation and origin; nothing can be listed by it. Up to 16
   * pairs: names of 1–64 lower-case letters, digits, '_', '.' and '-' that begin with a letter and are never rewritten,
   * values of at most 512 characters without control characters. As with `occurredAt`, an idempotency key
   * does not stand for it.
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** @internal */
export const newEventNames = {
  workspaceId: true,
  type: true,
  payload: true,
  subject: true,
  occurredAt: true,
  metadata: true,
} satisfies Names<NewEvent>;
