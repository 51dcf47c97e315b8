import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ContextValues, HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type {
  BatchCreateEventsErrorSchema,
  BatchCreateEventsResultSchema,
  CreateEventRequest,
  EraseEventRequest,
  EventsService,
  RetrieveEventRequest,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import {
  assertMayUseType,
  assertMayUseWorkspace,
  type Caller,
  getActor,
  getCaller,
  mayUseType,
  mayUseWorkspace,
} from '../api-keys/index.ts';
import {
  limitedOf,
  type RateLimiter,
  type RefusedBefore,
  standingKey,
} from '../rate-limits/index.ts';
import { traceContextOf } from '../trace-context-key.ts';
import { findUuid } from '../type-id.ts';
import type { KnownWorkspaces } from '../workspaces/index.ts';
import { type Abandonment, type AppendQueue, shareSignal } from './append/append-queue.ts';
import type { HeldTypes } from './append/held-types.ts';
import type { EraseEvent } from './erase/erase-event.ts';
import { type Appended, type Event, isOwnType, prepareEvent } from './event.ts';
import { CreatedAnswer, PageAnswer, RetrievedAnswer } from './event-answers.rpc.ts';
import {
  EventNotFound,
  IdempotencyKeyReused,
  IdempotencyKeyTaken,
  OwnEventNotErasable,
} from './event-errors.ts';
import { toEventMessage, toEventQuery, toNewEvent } from './event-message.rpc.ts';
import { listEvents } from './log/event-list.ts';
import type { EventLogStore } from './log/event-log-store.ts';
import type { EventReader } from './log/event-reader.ts';
import { openLog } from './log/open-log.rpc.ts';

export interface EventsRpcDeps {
  readonly queue: AppendQueue;
  readonly reader: EventReader;
  readonly eraseEvent: EraseEvent;
  readonly heldTypes: HeldTypes;
  readonly log: EventLogStore;
  readonly workspaces: KnownWorkspaces;
  readonly limiter: RateLimiter;
  /** Throws when an item of a batch breaks a bound of the contract, as the interceptor does for a call. */
  readonly validate: (request: CreateEventRequest) => void;
  /** What a caller is told about an error, for an item of a batch. */
  readonly explain: (
    error: unknown,
    values: ContextValues,
  ) => MessageInitShape<typeof BatchCreateEventsErrorSchema>;
}

/** The unary RPCs of harbor.events.v1.EventsService, over the append queue, the reader and the log. */
export function createEventsRpc(deps: EventsRpcDeps): Partial<ServiceImpl<typeof EventsService>> {
  const { queue, reader, eraseEvent, heldTypes, log, workspaces, limiter, validate, explain } =
    deps;

  async function create(
    request: CreateEventRequest,
    { caller, traceContext, signal, values, refused }: CreateCall,
  ): Promise<Appended> {
    const { workspaceId: id } = request;
    assertMayUseWorkspace(caller, id);
    assertMayUseType(caller, request.type);
    const limited = limitedOf(caller, { id, rateLimits: await workspaces.findRateLimits(id) });
    // Before the work on its content, which is most of what a create costs here.
    if (limited.length > 0) values.set(standingKey, () => limiter.standingOf(limited, 'creates'));
    limiter.takeCreate(limited, refused);
    const { apiKeyId } = caller;
    const event = prepareEvent(toNewEvent(request, { apiKeyId, traceContext }));
    limiter.takeBytes(limited, event.contentBytes, refused);
    const appended = queue.append(event, signal);
    if (caller.typePatterns.length === 0) return appended;
    return appended.catch(async (error) => {
      throw await concealHolder(heldTypes, caller, error);
    });
  }

  async function createItem(
    request: CreateEventRequest,
    call: CreateCall,
  ): Promise<MessageInitShape<typeof BatchCreateEventsResultSchema>> {
    try {
      validate(request);
      const value = new CreatedAnswer(await create(request, call));
      return { result: { case: 'created', value } };
    } catch (error) {
      return { result: { case: 'error', value: explain(error, call.values) } };
    }
  }

  return {
    async createEvent(request, context) {
      return new CreatedAnswer(await create(request, toCreateCall(context)));
    },

    async batchCreateEvents({ requests }, context) {
      const signal = shareSignal(context.signal);
      const call = { ...toCreateCall(context), signal, refused: new Map() };
      const results = requests.map((request) => createItem(request, call));
      return { results: await Promise.all(results) };
    },

    async retrieveEvent(request, { values }) {
      return new RetrievedAnswer(await getReadable(reader, request, values));
    },

    async eraseEvent(request, { values }) {
      const event = await getReadable(reader, request, values);
      if (isOwnType(event.type)) throw new OwnEventNotErasable(event.type);
      return { event: toEventMessage(await eraseEvent(event, getActor(values))) };
    },

    async listEvents(request, context) {
      const filter = await openLog(workspaces, request, context.values);
      const page = await listEvents(log, toEventQuery(request, filter), context.signal);
      return new PageAnswer(page);
    },
  };
}

/** What all creates of one call share. */
interface CreateCall {
  readonly caller: Caller;
  readonly traceContext: string | undefined;
  readonly signal: Abandonment;
  readonly values: ContextValues;
  /** Of a batch: its items that rate limits have refused. */
  readonly refused?: RefusedBefore;
}

function toCreateCall(context: HandlerContext): CreateCall {
  return {
    caller: getCaller(context.values),
    traceContext: traceContextOf(context),
    signal: context.signal,
    values: context.values,
  };
}

/** A reuse names the event that holds the key, but only to a caller that may use the type of that event. */
async function concealHolder(types: HeldTypes, caller: Caller, error: unknown): Promise<unknown> {
  if (!(error instanceof IdempotencyKeyReused)) return error;
  const type = await types.find(error.eventId).catch(() => undefined);
  const open = type !== undefined && mayUseType(caller, type);
  return open ? error : new IdempotencyKeyTaken();
}

/** @throws EventNotFound also for an event that the caller may not read, and one of another workspace than was named. */
async function getReadable(
  reader: EventReader,
  { id, workspaceId }: RetrieveEventRequest | EraseEventRequest,
  values: ContextValues,
): Promise<Event> {
  const caller = getCaller(values);
  const event = findUuid('evt', id) === undefined ? undefined : await reader.find(id);
  const isWhereAsked = workspaceId === '' || workspaceId === event?.workspaceId;
  if (event === undefined || !mayRead(caller, event) || !isWhereAsked) throw new EventNotFound(id);
  return event;
}

function mayRead(caller: Caller, event: Event): boolean {
  return mayUseWorkspace(caller, event.workspaceId) && mayUseType(caller, event.type);
}
