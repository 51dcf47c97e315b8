import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { EventSchema } from '../../gen/typescript/harbor/events/v1/event_pb.ts';
import type {
  CreateEventRequest,
  CreateEventResponseSchema,
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
import type { WorkspaceStore } from '../workspaces/index.ts';
import type { AppendQueue } from './append-queue.ts';
import { type Appended, type Event, type NewEvent, prepareEvent } from './event.ts';
import { EventNotFound } from './event-errors.ts';
import type { EventReader } from './event-reader.ts';

export interface EventsRpcDeps {
  readonly queue: AppendQueue;
  readonly reader: EventReader;
  readonly workspaces: Pick<WorkspaceStore, 'assertExists'>;
}

/** harbor.events.v1.EventsService over the append queue and the reader. */
export function createEventsRpc(deps: EventsRpcDeps): ServiceImpl<typeof EventsService> {
  const { queue, reader, workspaces } = deps;
  return {
    async createEvent(request, context) {
      const caller = getCaller(context.values);
      assertMayUseWorkspace(caller, request.workspaceId);
      assertMayUseType(caller, request.type);
      const event = prepareEvent(toNewEvent(request));
      await workspaces.assertExists(event.workspaceId);
      return toCreateEventResponse(await queue.append(event, context.signal));
    },

    async retrieveEvent(request, context) {
      const caller = getCaller(context.values);
      const known = findUuid('evt', request.id) !== undefined;
      const event = known ? await reader.find(request.id) : undefined;
      if (event === undefined || !mayRead(caller, event)) throw new EventNotFound(request.id);
      return { event: toEventMessage(event) };
    },
  };
}

function mayRead(caller: Caller, event: Event): boolean {
  return mayUseWorkspace(caller, event.workspaceId) && mayUseType(caller, event.type);
}

function toNewEvent(request: CreateEventRequest): NewEvent {
  return {
    workspaceId: request.workspaceId,
    type: request.type,
    // Required by the contract, so it is there.
    payload: request.payload as NewEvent['payload'],
    idempotencyKey: request.idempotencyKey === '' ? undefined : request.idempotencyKey,
  };
}

function toCreateEventResponse(
  appended: Appended,
): MessageInitShape<typeof CreateEventResponseSchema> {
  const { event, replayed, idempotencyKeyExpiresAt: expiresAt } = appended;
  return {
    event: toEventMessage(event),
    replayed,
    ...(expiresAt && { idempotencyKeyExpiresAt: timestampFromDate(expiresAt) }),
  };
}

function toEventMessage(event: Event): MessageInitShape<typeof EventSchema> {
  return {
    id: event.id,
    type: event.type,
    workspaceId: event.workspaceId,
    payload: event.payload,
    createdAt: timestampFromDate(event.createdAt),
    sequence: BigInt(event.sequence),
  };
}
