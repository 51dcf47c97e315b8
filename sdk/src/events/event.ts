import type { JsonObject } from '../json.ts';

/** Something that happened in a workspace. Events never change after they were created. */
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
}

/** An event that `create` returned. */
export interface CreatedEvent<Payload extends object = JsonObject> extends Event<Payload> {
  /** True when an earlier create with the same idempotency key recorded the event. */
  readonly replayed: boolean;
  /** When the idempotency key can be used for a new event: 24 hours after the first create with it. */
  readonly idempotencyKeyExpiresAt?: Date;
}

/** An event to create. */
export interface NewEvent<Payload extends object = JsonObject> {
  /** The workspace to record it in: ws_… */
  readonly workspaceId: string;
  /** What happened, for example 'invoice.paid': 1–255 characters, no control characters, no '*'. */
  readonly type: string;
  /**
   * A JSON object: at most 262,144 bytes of compact JSON, as it goes over the wire, and 32 levels deep.
   * Dates are recorded as ISO strings, undefined members are left out; send integers beyond 2^53 − 1 as
   * strings (see `payloadIntegers`). Unless Payload is given, any object is taken and checked when it is sent.
   */
  readonly payload: JsonObject extends Payload ? object : Payload;
}
