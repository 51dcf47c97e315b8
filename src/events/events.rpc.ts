import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ContextValues, ServiceImpl } from '@connectrpc/connect';
import type {
  BatchCreateEventsErrorSchema,
  BatchCreateEventsResultSchema,
  CreateEventRequest,
  EventsService,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import {
  assertMayUseType,
  assertMayUseWorkspace,
  type Caller,
  getCaller,
  mayUseType,
  mayUseWorkspace,
} from '../api-keys/index.ts';
import { findUuid } from '../type-id.ts';
import { type Abandonment, type AppendQueue, shareSignal } from './append/append-queue.ts';
import type { HeldTypes } from './append/held-types.ts';
import { type Appended, type Event, prepareEvent } from './event.ts';
import { EventNotFound, IdempotencyKeyReused, IdempotencyKeyTaken } from './event-errors.ts';
import {
  toCreateEventResponse,
  toEventMessage,
  toEventQuery,
  toNewEvent,
} from './event-message.rpc.ts';
import { listEvents } from './log/event-list.ts';
import type { EventLogStore } from './log/event-log-store.ts';
import type { EventReader } from './log/event-reader.ts';
import { type KnownWorkspaces, openLog } from './log/open-log.rpc.ts';

export interface EventsRpcDeps {
  readonly queue: AppendQueue;
  readonly reader: EventReader;
  readonly heldTypes: HeldTypes;
  readonly log: EventLogStore;
  readonly workspaces: KnownWorkspaces;
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
  const { queue, reader, heldTypes, log, workspaces, validate, explain } = deps;

  async function create(
    caller: Caller,
    request: CreateEventRequest,
    signal: Abandonment,
  ): Promise<Appended> {
    assertMayUseWorkspace(caller, request.workspaceId);
    assertMayUseType(caller, request.type);
    const event = prepareEvent(toNewEvent(request));
    await workspaces.assertExists(event.workspaceId);
    const appended = queue.append(event, signal);
    if (caller.typePatterns.length === 0) return appended;
    return appended.catch(async (error) => {
      throw await concealHolder(heldTypes, caller, error);
    });
  }

  async function createItem(
    caller: Caller,
    request: CreateEventRequest,
    signal: Abandonment,
    values: ContextValues,
  ): Promise<MessageInitShape<typeof BatchCreateEventsResultSchema>> {
    try {
      validate(request);
      const value = toCreateEventResponse(await create(caller, request, signal));
      return { result: { case: 'created', value } };
    } catch (error) {
      return { result: { case: 'error', value: explain(error, values) } };
    }
  }

  return {
    async createEvent(request, context) {
      const appended = await create(getCaller(context.values), request, context.signal);
      return toCreateEventResponse(appended);
    },

    async batchCreateEvents({ requests }, context) {
      const { values } = context;
      const caller = getCaller(values);
      const signal = shareSignal(context.signal);
      const results = requests.map((request) => createItem(caller, request, signal, values));
      return { results: await Promise.all(results) };
    },

    async retrieveEvent(request, context) {
      const caller = getCaller(context.values);
      const known = findUuid('evt', request.id) !== undefined;
      const event = known ? await reader.find(request.id) : undefined;
      if (event === undefined || !mayRead(caller, event)) throw new EventNotFound(request.id);
      return { event: toEventMessage(event) };
    },

    async listEvents(request, context) {
      const typePatterns = await openLog(workspaces, request, context.values);
      const { events, nextPageToken } = await listEvents(log, toEventQuery(request, typePatterns));
      return { events: events.map(toEventMessage), nextPageToken };
    },
  };
}

/** A reuse names the event that holds the key, but only to a caller that may use the type of that event. */
async function concealHolder(types: HeldTypes, caller: Caller, error: unknown): Promise<unknown> {
  if (!(error instanceof IdempotencyKeyReused)) return error;
  const type = await types.find(error.eventId).catch(() => undefined);
  const open = type !== undefined && mayUseType(caller, type);
  return open ? error : new IdempotencyKeyTaken();
}

function mayRead(caller: Caller, event: Event): boolean {
  return mayUseWorkspace(caller, event.workspaceId) && mayUseType(caller, event.type);
}
