import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Code, ConnectError, createContextValues } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { onTestFinished } from 'vitest';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/typescript/google/rpc/error_details_pb.ts';
import {
  type BatchCreateEventsRequest,
  type CreateEventRequest,
  EventsService,
  type ListEventsRequest,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { eventsInMemory, type Refusals, stepKey } from './events-in-memory.ts';

/**
 * What becomes of one request. 'answer': the service does its work. 'reset': the connection breaks
 * before it. 'lose': it does its work, and the connection breaks before the answer. 'cut': the answer
 * breaks off half-way. 'stall': no answer, ever. 'proxy': an HTML page with 503. 'redirect': a 308. A
 * ConnectError: that error. Refusals: of a batch, the items of a type get that error, the others are done.
 */
export type Step =
  | 'answer'
  | 'reset'
  | 'lose'
  | 'cut'
  | 'stall'
  | 'proxy'
  | 'redirect'
  | ConnectError
  | Refusals;

export interface ScriptedServer {
  readonly baseUrl: string;
  /** The creates that reached the service, in order. */
  readonly creates: CreateEventRequest[];
  /** The batches that reached the service, in order. */
  readonly batches: BatchCreateEventsRequest[];
  /** The lists that reached the service, in order. */
  readonly lists: ListEventsRequest[];
  /** The number of HTTP requests so far. */
  readonly requests: () => number;
  /** The headers of the last request. */
  readonly headers: () => NodeJS.Dict<string | string[]>;
}

/** Starts EventsService on loopback; each request takes the next step of the script, then 'answer'. */
export async function startScriptedServer(
  script: readonly Step[] = [],
  onRequest: (count: number) => void = () => {},
): Promise<ScriptedServer> {
  const steps = [...script];
  const seen = {
    creates: [] as CreateEventRequest[],
    batches: [] as BatchCreateEventsRequest[],
    lists: [] as ListEventsRequest[],
  };
  let count = 0;
  let headers: NodeJS.Dict<string | string[]> = {};

  const adapter = connectNodeAdapter({
    routes: (router) => router.service(EventsService, eventsInMemory(seen)),
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
        response.writeHead(200, { 'content-type': 'application/proto', 'content-length': 1000 });
        response.write('\n\x64\n\x1eevt_', () => request.socket.resetAndDestroy());
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
    ...seen,
    requests: () => count,
    headers: () => headers,
  };
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
