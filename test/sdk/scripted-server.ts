import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  Code,
  ConnectError,
  createContextKey,
  createContextValues,
  type ServiceImpl,
} from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { onTestFinished } from 'vitest';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/typescript/google/rpc/error_details_pb.ts';
import { type Event, EventSchema } from '../../gen/typescript/harbor/events/v1/event_pb.ts';
import {
  type CreateEventRequest,
  EventsService,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';

/**
 * What becomes of one request. 'answer': the service does its work. 'reset': the connection breaks
 * before it. 'lose': it does its work, and the connection breaks before the answer. 'cut': the answer
 * breaks off half-way. 'stall': no answer, ever. 'proxy': an HTML page with 503. 'redirect': a 308. A
 * ConnectError: that error.
 */
export type Step =
  | 'answer'
  | 'reset'
  | 'lose'
  | 'cut'
  | 'stall'
  | 'proxy'
  | 'redirect'
  | ConnectError;

export interface ScriptedServer {
  readonly baseUrl: string;
  /** The creates that reached the service, in order. */
  readonly creates: CreateEventRequest[];
  /** The number of HTTP requests so far. */
  readonly requests: () => number;
  /** The headers of the last request. */
  readonly headers: () => NodeJS.Dict<string | string[]>;
}

const stepKey = createContextKey<{ step: Step; socket: Socket } | undefined>(undefined);

/** Starts EventsService on loopback; each request takes the next step of the script, then 'answer'. */
export async function startScriptedServer(
  script: readonly Step[] = [],
  onRequest: (count: number) => void = () => {},
): Promise<ScriptedServer> {
  const steps = [...script];
  const creates: CreateEventRequest[] = [];
  let count = 0;
  let headers: NodeJS.Dict<string | string[]> = {};

  const adapter = connectNodeAdapter({
    routes: (router) => router.service(EventsService, eventsInMemory(creates)),
    contextValues: (request) =>
      createContextValues().set(stepKey, {
        step: steps.shift() ?? 'answer',
        socket: request.socket,
      }),
  });
  const server = createServer((request, response) => {
    count += 1;
    headers = request.headers;
    onRequest(count);
    response.setHeader('x-request-id', `req_${count}`);
    const [step] = steps;
    switch (step) {
      case 'reset':
        steps.shift();
        request.socket.resetAndDestroy();
        return;
      case 'cut':
        steps.shift();
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
        response.write('{"event": {"id": "evt_', () => request.socket.resetAndDestroy());
        return;
      case 'proxy':
        steps.shift();
        response
          .writeHead(503, { 'content-type': 'text/html' })
          .end('<h1>Service Unavailable</h1>');
        return;
      case 'redirect':
        steps.shift();
        response.writeHead(308, { location: 'https://events.example.com/' }).end();
        return;
      default:
        adapter(request, response);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    creates,
    requests: () => count,
    headers: () => headers,
  };
}

/** Records events in memory, one per idempotency key. */
function eventsInMemory(creates: CreateEventRequest[]): ServiceImpl<typeof EventsService> {
  const events = new Map<string, Event>();
  return {
    async createEvent(request, context) {
      creates.push(request);
      const scripted = context.values.get(stepKey);
      if (scripted?.step instanceof ConnectError) throw scripted.step;
      if (scripted?.step === 'stall') {
        await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
      }
      const recorded = events.get(request.idempotencyKey);
      const event = recorded ?? newEvent(request, events.size + 1);
      events.set(request.idempotencyKey, event);
      if (scripted?.step === 'lose') scripted.socket.resetAndDestroy();
      return {
        event,
        replayed: recorded !== undefined,
        idempotencyKeyExpiresAt: timestampFromDate(new Date('2026-05-26T12:00:00Z')),
      };
    },
    retrieveEvent(request, context) {
      const scripted = context.values.get(stepKey);
      if (scripted?.step instanceof ConnectError) throw scripted.step;
      const event = [...events.values()].find(({ id }) => id === request.id);
      if (event === undefined) throw serviceError(Code.NotFound, 'EVENT_NOT_FOUND');
      return { event };
    },
  };
}

function newEvent(request: CreateEventRequest, sequence: number): Event {
  return create(EventSchema, {
    id: `evt_${String(sequence).padStart(26, '0')}`,
    type: request.type,
    workspaceId: request.workspaceId,
    payload: request.payload ?? {},
    createdAt: timestampFromDate(new Date('2026-05-25T12:00:00Z')),
    sequence: BigInt(sequence),
  });
}

/** An error as the service makes it: ErrorInfo, and BadRequest and RetryInfo where asked for. */
export function serviceError(
  code: Code,
  reason: string,
  details: {
    metadata?: Record<string, string>;
    violations?: { field: string; description: string }[];
    retryDelayMs?: number;
  } = {},
): ConnectError {
  const error = new ConnectError(`refused: ${reason}`, code);
  error.details.push({
    desc: ErrorInfoSchema,
    value: { reason, domain: 'harbor.events', metadata: details.metadata ?? {} },
  });
  if (details.violations !== undefined) {
    error.details.push({ desc: BadRequestSchema, value: { fieldViolations: details.violations } });
  }
  if (details.retryDelayMs !== undefined) {
    const seconds = Math.floor(details.retryDelayMs / 1000);
    const nanos = (details.retryDelayMs % 1000) * 1_000_000;
    error.details.push({
      desc: RetryInfoSchema,
      value: { retryDelay: { seconds: BigInt(seconds), nanos } },
    });
  }
  return error;
}
