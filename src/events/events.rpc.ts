import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ContextValues,
  type HandlerContext,
  type ServiceImpl,
} from '@connectrpc/connect';
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
  readablePatterns,
  type StreamWatch,
} from '../api-keys/index.ts';
import { findUuid } from '../type-id.ts';
import type { WorkspaceStore } from '../workspaces/index.ts';
import { type Abandonment, type AppendQueue, shareSignal } from './append-queue.ts';
import { type Appended, type Event, prepareEvent } from './event.ts';
import { EventNotFound } from './event-errors.ts';
import type { EventFeeds } from './event-feeds.ts';
import { listEvents } from './event-list.ts';
import type { EventLogStore } from './event-log-store.ts';
import {
  toCreateEventResponse,
  toEventMessage,
  toEventQuery,
  toNewEvent,
} from './event-message.rpc.ts';
import type { EventReader } from './event-reader.ts';
import { openedStreamKey } from './opened-stream.rpc.ts';
import { openSubscription } from './subscription.ts';

export interface EventsRpcDeps {
  readonly queue: AppendQueue;
  readonly reader: EventReader;
  readonly log: EventLogStore;
  readonly feeds: EventFeeds;
  readonly workspaces: Pick<WorkspaceStore, 'assertExists'>;
  readonly streams: StreamWatch;
  /** Throws when an item of a batch breaks a bound of the contract, as the interceptor does for a call. */
  readonly validate: (request: CreateEventRequest) => void;
  /** What a caller is told about an error, for an item of a batch. */
  readonly explain: (
    error: unknown,
    values: ContextValues,
  ) => MessageInitShape<typeof BatchCreateEventsErrorSchema>;
}

/** harbor.events.v1.EventsService over the append queue, the reader and the log. */
export function createEventsRpc(deps: EventsRpcDeps): ServiceImpl<typeof EventsService> {
  const { queue, reader, log, feeds, workspaces, streams, validate, explain } = deps;

  async function create(
    caller: Caller,
    request: CreateEventRequest,
    signal: Abandonment,
  ): Promise<Appended> {
    assertMayUseWorkspace(caller, request.workspaceId);
    assertMayUseType(caller, request.type);
    const event = prepareEvent(toNewEvent(request));
    await workspaces.assertExists(event.workspaceId);
    return queue.append(event, signal);
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

  /** What a list or a stream of the workspace may hold; throws when the caller may not read it at all. */
  async function openLog(
    request: { workspaceId: string; typePatterns: readonly string[] },
    { values }: Pick<HandlerContext, 'values'>,
  ): Promise<readonly string[]> {
    const caller = getCaller(values);
    assertMayUseWorkspace(caller, request.workspaceId);
    const typePatterns = readablePatterns(caller, request.typePatterns);
    await workspaces.assertExists(request.workspaceId);
    return typePatterns;
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
      const typePatterns = await openLog(request, context);
      const { events, nextPageToken } = await listEvents(log, toEventQuery(request, typePatterns));
      return { events: events.map(toEventMessage), nextPageToken };
    },

    /** Yields nothing: the subscription goes on where it is left, see `openedStreamKey`. */
    async *subscribeEvents(request, context) {
      const typePatterns = await openLog(request, context);
      const { workspaceId, afterSequence: after } = request;
      const afterSequence = after === undefined ? undefined : Number(after);
      const options = { workspaceId, afterSequence, typePatterns };
      const subscription = await openSubscription(feeds, log, options);
      const end = (reason: unknown) => subscription.end(reason);
      const { apiKeyId } = getCaller(context.values);
      subscription.closing.defer(streams.watch(apiKeyId, end));
      subscription.closing.defer(endAtDeadline(context.timeoutMs(), end));
      context.values.set(openedStreamKey, subscription);
    },
  };
}

/** A caller may give a stream a time to end at; what is returned takes that back. */
function endAtDeadline(timeoutMs: number | undefined, end: (reason: unknown) => void): () => void {
  if (timeoutMs === undefined) return () => undefined;
  const timer = setTimeout(
    () => end(new ConnectError('the operation timed out', Code.DeadlineExceeded)),
    timeoutMs,
  );
  return () => clearTimeout(timer);
}

function mayRead(caller: Caller, event: Event): boolean {
  return mayUseWorkspace(caller, event.workspaceId) && mayUseType(caller, event.type);
}
