import type { Client } from '@connectrpc/connect';
import type { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { Caller } from '../caller.ts';
import type { JsonObject } from '../json.ts';
import { type Names, refuseUnknownFields } from '../known-names.ts';
import {
  parseCallback,
  parseRequestOptions,
  parseSubscribeOptions,
  type RequestOptions,
  requestOptionNames,
  subscribeOptionNames,
} from '../options.ts';
import type { BatchItem, BatchResult } from './batch.ts';
import { createBatch } from './create-batch.ts';
import {
  type EraseBySubjectOptions,
  type EraseBySubjectQuery,
  type ErasedBySubject,
  eraseAll,
  eraseBySubjectOptionNames,
  eraseBySubjectQueryNames,
} from './erase-by-subject.ts';
import { type CreatedEvent, type Event, type NewEvent, newEventNames } from './event.ts';
import { createdEventFromMessage, eventFromMessage } from './from-message.ts';
import type { EventList, ListQuery } from './list.ts';
import { listEvents } from './list-events.ts';
import { newEventToMessage, type PayloadRules } from './new-event-message.ts';
import {
  parseSequence,
  parseSubject,
  parseTypePatterns,
  refuseField,
  requireString,
} from './request-fields.ts';
import { type SubscribeOptions, type SubscribeQuery, subscribeQueryNames } from './subscribe.ts';
import { EventSubscription, type SubscriptionDeps } from './subscription.ts';

/** Options of one create. */
export interface CreateOptions extends RequestOptions {
  /**
   * 1–255 printable ASCII characters, per workspace. For 24 hours, creates with the same key, type, payload
   * and subject return the same event. Default: a key made for this call, so that its own retries are safe;
   * give one to make later calls safe too, for example after a restart.
   */
  readonly idempotencyKey?: string | undefined;
}

/** Options of a call that is about one event. */
export interface RetrieveOptions extends RequestOptions {
  /** The workspace that the event is in; an event of another one is not found. Absent: any. */
  readonly workspaceId?: string | undefined;
}

const createOptionNames = {
  idempotencyKey: true,
  ...requestOptionNames,
} satisfies Names<CreateOptions>;
const retrieveOptionNames = {
  workspaceId: true,
  ...requestOptionNames,
} satisfies Names<RetrieveOptions>;

/** @internal What Events is made of. */
export interface EventsDeps extends SubscriptionDeps, PayloadRules {
  readonly client: Client<typeof EventsService>;
  readonly call: Caller;
}

/** The events of the workspaces that the API key may use: `harbor.events`. */
export class Events {
  readonly #deps: EventsDeps;

  /** @internal */
  constructor(deps: EventsDeps) {
    this.#deps = deps;
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
    const { client, call, payloadKeys } = this.#deps;
    refuseUnknownFields(event, newEventNames, createOptionNames);
    const common = parseRequestOptions(options, createOptionNames);
    const request = newEventToMessage(event, options.idempotencyKey, this.#deps);
    const sent = { idempotencyKey: request.idempotencyKey };
    const answer = await call((attempt) => client.createEvent(request, attempt), common, sent);
    return createdEventFromMessage<Payload>(answer, payloadKeys, sent);
  }

  /**
   * Creates 1–500 events, in any mix of workspaces, each exactly once as `create` would. Resolves, after
   * they are on disk, to one result per item, in the order of the items: `{ ok: true, event }`, or
   * `{ ok: false, error }` with what `create` would have rejected with. An item that is refused harms no
   * other. Items of one workspace are numbered in their order, unless some had to be sent again.
   *
   * The whole call is sent again as a create is; items whose own error is retryable are sent again by
   * themselves, with the same keys. Both together make at most 1 + maxRetries attempts. The request is at
   * most 8 MiB, in which a number takes 11 bytes, and a member 8 more than its name and value.
   *
   * Rejects as `create` does when no attempt was answered: nothing is known then, and
   * `error.idempotencyKeys` makes it safe to send the same items again. With InvalidRequestError for no
   * items or more than 500; with the reason of `signal` when that is aborted.
   */
  async createBatch<Payload extends object = JsonObject>(
    items: readonly BatchItem<NoInfer<Payload>>[],
    options: RequestOptions = {},
  ): Promise<BatchResult<Payload>[]> {
    return createBatch<Payload>(this.#deps, items, options);
  }

  /**
   * Retrieves an event by id.
   *
   * Rejects with NotFoundError when there is no such event, in `workspaceId` where that is given, or the API
   * key may not read it, with
   * InvalidRequestError when the id does not look like evt_…, and as `create` does otherwise.
   */
  async retrieve<Payload extends object = JsonObject>(
    id: string,
    options: RetrieveOptions = {},
  ): Promise<Event<Payload>> {
    const { client, call, payloadKeys } = this.#deps;
    const common = parseRequestOptions(options, retrieveOptionNames);
    const workspaceId = parseRetrievedFrom(options.workspaceId);
    const request = { id: requireString('id', id), workspaceId };
    const answer = await call((attempt) => client.retrieveEvent(request, attempt), common);
    return eventFromMessage<Payload>(answer.event, payloadKeys);
  }

  /**
   * Erases the content of an event, for good: its payload becomes empty, subject and metadata are gone; the rest of
   * it stays where it was, with `erasedAt`. Resolves to the event as it is then, also when it was erased before. Needs the
   * scope events:erase.
   *
   * Rejects as `retrieve` does, and with PermissionError for events of the service's own.
   */
  async erase<Payload extends object = JsonObject>(
    id: string,
    options: RetrieveOptions = {},
  ): Promise<Event<Payload>> {
    const { client, call, payloadKeys } = this.#deps;
    const common = parseRequestOptions(options, retrieveOptionNames);
    const workspaceId = parseRetrievedFrom(options.workspaceId);
    const request = { id: requireString('id', id), workspaceId };
    const answer = await call((attempt) => client.eraseEvent(request, attempt), common);
    return eventFromMessage<Payload>(answer.event, payloadKeys);
  }

  /**
   * Erases every event of a workspace that is about a subject, and resolves to how many that were. Needs the scopes
   * events:read and events:erase; a key that is restricted to types erases what it may read.
   *
   * What was erased is erased, whatever happens next: where it rejects, as `list` and `erase` do, call it again, and it
   * goes on with what is left. Events that are recorded with the subject meanwhile are erased as well, as far as it meets
   * them before its end.
   */
  async eraseBySubject(
    query: EraseBySubjectQuery,
    options: EraseBySubjectOptions = {},
  ): Promise<ErasedBySubject> {
    refuseUnknownFields(query, eraseBySubjectQueryNames, eraseBySubjectOptionNames);
    const common = parseRequestOptions(options, eraseBySubjectOptionNames);
    const workspaceId = requireString('workspaceId', query.workspaceId);
    const subject = requireString('subject', parseSubject(query.subject));
    return eraseAll({
      subject,
      list: () => this.list({ workspaceId, subject }, common),
      erase: (id) => this.erase(id, { ...common, workspaceId }),
      onErased: parseCallback('onErased', options.onErased),
    });
  }

  /**
   * Lists the events of a workspace by sequence. `await` gives one page, `for await` every event, page
   * after page; nothing is sent before the one or the other.
   *
   * ```ts
   * for await (const event of harbor.events.list({ workspaceId, typePatterns: ['invoice.*'] })) …
   * ```
   *
   * In ascending order a list that was read to its end has missed nothing that was committed before.
   * Each page is retried as a call of its own, and rejects with NotFoundError (the workspace),
   * InvalidRequestError (also for `afterSequence` beyond the newest event, and a `pageToken` of another
   * list), SequenceExpiredError when retention has passed `afterSequence` or `pageToken`, PermissionError, and as
   * `create` does otherwise.
   */
  list<Payload extends object = JsonObject>(
    query: ListQuery,
    options: RequestOptions = {},
  ): EventList<Payload> {
    return listEvents<Payload>(this.#deps, query, options);
  }

  /**
   * Follows the log of a workspace: an async iterable of its events, first those that are there, then
   * each as it is recorded, without a gap, a repeat or an end.
   *
   * ```ts
   * for await (const event of harbor.events.subscribe({ workspaceId, afterSequence: 0 })) …
   * ```
   *
   * When the connection is lost, falls silent for 45 s, or the service is stopped or overloaded, it
   * connects again after a wait (full jitter, at most 5 s, on top of what the service asks for, up to
   * 5 minutes) and goes on after the last event that was handed out. Ends by `break` or `signal`.
   *
   * Throws into the loop what does not pass by itself: AuthenticationError, PermissionError,
   * NotFoundError (the workspace), InvalidRequestError (SEQUENCE_IN_FUTURE: a cursor of another log),
   * SequenceExpiredError when it was away for longer than events are kept, or is that far behind, InternalError (LOG_GAP; RESPONSE_INVALID: a stream that repeats itself). Throws InvalidRequestError
   * and InvalidOptionError at once.
   */
  subscribe<Payload extends object = JsonObject>(
    query: SubscribeQuery,
    options: SubscribeOptions = {},
  ): EventSubscription<Payload> {
    refuseUnknownFields(query, subscribeQueryNames, subscribeOptionNames);
    const subscription = {
      workspaceId: requireString('workspaceId', query.workspaceId),
      typePatterns: parseTypePatterns(query),
      saysTypes: query.types !== undefined,
      subject: parseSubject(query.subject) ?? '',
      afterSequence: parseSequence('afterSequence', query.afterSequence),
    };
    return new EventSubscription(this.#deps, subscription, parseSubscribeOptions(options));
  }
}

/** Empty would mean any. */
function parseRetrievedFrom(workspaceId: unknown): string {
  if (workspaceId === undefined) return '';
  if (workspaceId === '') throw refuseField('workspaceId', 'must not be empty; leave it out.');
  return requireString('workspaceId', workspaceId);
}
