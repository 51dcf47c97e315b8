import type { Socket } from 'node:net';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  Code,
  ConnectError,
  createContextKey,
  type HandlerContext,
  type ServiceImpl,
} from '@connectrpc/connect';
import { type Event, EventSchema } from '../../gen/typescript/harbor/events/v1/event_pb.ts';
import {
  type BatchCreateEventsErrorSchema,
  type BatchCreateEventsRequest,
  BatchCreateEventsResultSchema,
  type CreateEventRequest,
  EventOrder,
  type EventsService,
  type ListEventsRequest,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { type Step, serviceError } from './scripted-server.ts';

/** The errors of the items of a batch, by the type of the event. */
export interface Refusals {
  readonly refuse: Readonly<Record<string, MessageInitShape<typeof BatchCreateEventsErrorSchema>>>;
}

/** What becomes of the request at hand. */
export const stepKey = createContextKey<{ step: Step; socket: Socket } | undefined>(undefined);

/** Where requests that reach the service are noted, in order. */
interface Seen {
  readonly creates: CreateEventRequest[];
  readonly batches: BatchCreateEventsRequest[];
  readonly lists: ListEventsRequest[];
}

/** EventsService without streams: records events in memory, one per idempotency key. */
export function eventsInMemory(seen: Seen): Partial<ServiceImpl<typeof EventsService>> {
  const events = new Map<string, Event>();
  const append = (request: CreateEventRequest) => {
    const recorded = events.get(request.idempotencyKey);
    const event = recorded ?? newEvent(request, events.size + 1);
    events.set(request.idempotencyKey, event);
    return {
      event,
      replayed: recorded !== undefined,
      idempotencyKeyExpiresAt: timestampFromDate(new Date('2026-05-26T12:00:00Z')),
    };
  };
  return {
    createEvent(request, context) {
      seen.creates.push(request);
      return scripted(context, () => append(request));
    },
    batchCreateEvents(request, context) {
      seen.batches.push(request);
      const refuse = findRefusals(context);
      return scripted(context, () => ({
        results: request.requests.map((item) => {
          const error = refuse[item.type];
          return create(BatchCreateEventsResultSchema, {
            result:
              error === undefined
                ? { case: 'created', value: append(item) }
                : { case: 'error', value: error },
          });
        }),
      }));
    },
    retrieveEvent(request, context) {
      return scripted(context, () => {
        const event = [...events.values()].find(
          ({ id, workspaceId }) =>
            id === request.id && (request.workspaceId || workspaceId) === workspaceId,
        );
        if (event === undefined) throw serviceError(Code.NotFound, 'EVENT_NOT_FOUND');
        return { event };
      });
    },
    listEvents(request, context) {
      seen.lists.push(request);
      return scripted(context, () => listPage([...events.values()], request));
    },
  };
}

/** Lets the step of the script happen, around the work. */
async function scripted<Answer>(context: HandlerContext, work: () => Answer): Promise<Answer> {
  const { step, socket } = context.values.get(stepKey) ?? {};
  if (step instanceof ConnectError) throw step;
  if (step === 'stall') {
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
  }
  const answer = work();
  if (step === 'lose') socket?.resetAndDestroy();
  return answer;
}

function findRefusals(context: HandlerContext): Refusals['refuse'] {
  const step = context.values.get(stepKey)?.step;
  return typeof step === 'object' && 'refuse' in step ? step.refuse : {};
}

/** A page looks at pageSize places of the log, and holds those that match: often fewer, or none. */
function listPage(log: readonly Event[], request: ListEventsRequest) {
  const inOrder = request.order === EventOrder.DESCENDING ? log.toReversed() : log;
  const start = Number(request.pageToken);
  const end = start + (request.pageSize || 100);
  return {
    events: inOrder.slice(start, end).filter((event) => matches(event, request)),
    nextPageToken: end < log.length ? String(end) : '',
  };
}

function matches(event: Event, request: ListEventsRequest): boolean {
  const { typePatterns, createdAfter, createdBefore, afterSequence } = request;
  const createdAt = event.createdAt === undefined ? new Date(0) : timestampDate(event.createdAt);
  return (
    (typePatterns.length === 0 || typePatterns.includes(event.type)) &&
    (request.subject || event.subject) === event.subject &&
    (createdAfter === undefined || createdAt > timestampDate(createdAfter)) &&
    (createdBefore === undefined || createdAt < timestampDate(createdBefore)) &&
    event.sequence > afterSequence
  );
}

function newEvent(request: CreateEventRequest, sequence: number): Event {
  return create(EventSchema, {
    id: `evt_${String(sequence).padStart(26, '0')}`,
    type: request.type,
    workspaceId: request.workspaceId,
    payload: request.payload ?? {},
    createdAt: timestampFromDate(new Date('2026-05-25T12:00:00Z')),
    sequence: BigInt(sequence),
    subject: request.subject,
    metadata: request.metadata,
    ...(request.occurredAt && { occurredAt: request.occurredAt }),
  });
}
