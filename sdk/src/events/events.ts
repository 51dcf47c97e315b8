import type { Client } from '@connectrpc/connect';
import type { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { Caller } from '../caller.ts';
import { InvalidRequestError } from '../errors.ts';
import { makeIdempotencyKey, parseIdempotencyKey } from '../idempotency-key.ts';
import type { JsonObject } from '../json.ts';
import type { RequestOptions } from '../options.ts';
import { toJsonObject } from '../payload-json.ts';
import type { PayloadKeys } from '../payload-keys.ts';
import type { CreatedEvent, Event, NewEvent } from './event.ts';
import { createdEventFromMessage, eventFromMessage } from './from-message.ts';

/** Options of one create. */
export interface CreateOptions extends RequestOptions {
  /**
   * 1–255 printable ASCII characters, per workspace. For 24 hours, creates with the same key, type and
   * payload return the same event. Default: a key made for this call, so that its own retries are safe;
   * give one to make later calls safe too, for example after a restart.
   */
  readonly idempotencyKey?: string | undefined;
}

/** @internal What Events is made of. */
export interface EventsDeps {
  readonly client: Client<typeof EventsService>;
  readonly call: Caller;
  readonly payloadKeys: PayloadKeys;
}

/** The events of the workspaces that the API key may use: `harbor.events`. */
export class Events {
  readonly #client: Client<typeof EventsService>;
  readonly #call: Caller;
  readonly #payloadKeys: PayloadKeys;

  /** @internal */
  constructor(deps: EventsDeps) {
    this.#client = deps.client;
    this.#call = deps.call;
    this.#payloadKeys = deps.payloadKeys;
  }

  /**
   * Creates an event, exactly once whatever happens to the attempts: all carry the same idempotency key.
   * Resolves after the event is on disk.
   *
   * Rejects with InvalidRequestError, AuthenticationError, PermissionError, NotFoundError (the
   * workspace), IdempotencyKeyReusedError, OverloadedError, UnavailableError, InternalError or
   * InvalidOptionError; with the reason of `signal` when that is aborted.
   */
  async create<Payload extends object = JsonObject>(
    event: NewEvent<NoInfer<Payload>>,
    options: CreateOptions = {},
  ): Promise<CreatedEvent<Payload>> {
    const idempotencyKey =
      options.idempotencyKey === undefined
        ? makeIdempotencyKey()
        : parseIdempotencyKey(options.idempotencyKey);
    const request = {
      workspaceId: requireString('workspaceId', event?.workspaceId),
      type: requireString('type', event?.type),
      payload: this.#payloadKeys.toWire(toJsonObject(event.payload)),
      idempotencyKey,
    };
    const answer = await this.#call(
      (attempt) => this.#client.createEvent(request, attempt),
      options,
      idempotencyKey,
    );
    return createdEventFromMessage<Payload>(answer, this.#payloadKeys);
  }

  /**
   * Retrieves an event by id.
   *
   * Rejects with NotFoundError when there is no such event or the API key may not read it, with
   * InvalidRequestError when the id does not look like evt_…, and as `create` does otherwise.
   */
  async retrieve<Payload extends object = JsonObject>(
    id: string,
    options: RequestOptions = {},
  ): Promise<Event<Payload>> {
    const request = { id: requireString('id', id) };
    const answer = await this.#call(
      (attempt) => this.#client.retrieveEvent(request, attempt),
      options,
    );
    return eventFromMessage<Payload>(answer.event, this.#payloadKeys);
  }
}

/** The service checks the text; anything but text would fail with an error about encoding instead. */
function requireString(field: string, value: unknown): string {
  if (typeof value === 'string') return value;
  const description = value === undefined ? 'is missing.' : 'must be a string.';
  throw new InvalidRequestError(`${field} ${description}`, [{ field, description }], {
    code: 'invalid_argument',
    reason: 'INVALID_REQUEST',
  });
}
