import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ErrorInfoSchema } from '../gen/typescript/google/rpc/error_details_pb.ts';
import {
  EventsService,
  RetrieveEventRequestSchema,
} from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { Caller } from '../src/api-keys/index.ts';
import { EventNotFound } from '../src/events/event-errors.ts';
import { createRateLimiter } from '../src/rate-limits/index.ts';
import { createAdmission } from '../src/server/calls/admission.ts';
import { beginCall, type Call, callKey } from '../src/server/calls/call.ts';
import { createRequestGate } from '../src/server/calls/request-gate.ts';
import { createDispatch } from '../src/server/dispatch.ts';
import { createContractValidator } from '../src/server/rpc/contract-validator.ts';
import { createHandlers, type Routes } from '../src/server/rpc/router.ts';
import { createHealth } from '../src/server/server.ts';
import { createStreams } from '../src/server/streams/open-streams.ts';
import { createGuardedUnaries } from '../src/server/unary/guarded-unary.ts';
import { readUnaryRoutes } from '../src/server/unary/unary-routes.ts';
import {
  createToHeaders,
  type Dispatch,
  type ExchangeResponse,
  readWhole,
} from '../src/server/wire/exchange.ts';
import { createInflation } from '../src/server/wire/inflation.ts';
import { ReceivedBody } from '../src/server/wire/request-body.ts';

const path = `/${EventsService.typeName}/RetrieveEvent`;
const id = 'evt_01hzy9q7x8f4kq3d2m5n6p7r8s';
const event = { id, type: 'invoice.paid', payload: { a: [1, null, { b: 'c' }] }, sequence: 7n };
const caller: Caller = {
  apiKeyId: 'key_1',
  secretHash: '',
  kind: 'secret',
  scopes: ['events:read'],
  workspaceIds: [],
  typePatterns: [],
  expiresAt: undefined,
};

/** Its rules take their time to compile. */
const validator = createContractValidator([EventsService]);

type Retrieve = ServiceImpl<typeof EventsService>['retrieveEvent'];

/** Two ways to the same handler: the service's, and Connect alone. */
interface Ways {
  readonly beside: Dispatch;
  readonly connect: Dispatch;
  /** Calls that came to a handler of Connect. */
  readonly throughConnect: () => number;
  /** How often a call was let in. */
  readonly admitted: () => number;
}

function createWays(retrieveEvent: Retrieve): Ways {
  const routes: Routes = (router) => router.service(EventsService, { retrieveEvent });
  const authenticator = {
    authenticate(authorization: string | null) {
      if (authorization === 'Bearer wrong') throw new ConnectError('who?', Code.Unauthenticated);
      return caller;
    },
  };
  const lastUsed = { note: () => undefined };
  let admitted = 0;
  const admission = createAdmission();
  const gate = createRequestGate({
    authenticator,
    lastUsed,
    limiter: createRateLimiter(),
    admission: {
      ...admission,
      admit(call, room) {
        admitted++;
        admission.admit(call, room);
      },
    },
  });
  const inflation = createInflation();
  const handlers = createHandlers(routes, { gate, validator, inflation });
  let calls = 0;
  const rpc = new Map(
    [...handlers.rpc].map(([path, handler]) => [
      path,
      Object.assign((...[request]: Parameters<typeof handler>) => {
        calls++;
        return handler(request);
      }, handler),
    ]),
  );
  const deps = {
    handlers: { ...handlers, rpc },
    streams: createStreams([], gate, validator),
    inflation,
    health: createHealth(),
    validator,
  };
  const unaries = createGuardedUnaries(readUnaryRoutes(routes), gate, validator);
  return {
    beside: createDispatch({ ...deps, unaries }),
    connect: createDispatch({ ...deps, unaries: [] }),
    throughConnect: () => calls,
    admitted: () => admitted,
  };
}

interface Sent {
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

/** What goes over the wire, and what the log says. */
async function send(dispatch: Dispatch, { headers, body }: Sent) {
  const call = beginCall('POST', { requestId: 'req_1' });
  const response = await dispatch({
    httpVersion: '2.0',
    method: 'POST',
    url: `http://harbor${path}`,
    path,
    query: '',
    header: createToHeaders()({ authorization: 'Bearer right', ...headers }),
    body: bodyOf(call, body),
    signal: new AbortController().signal,
    call,
  });
  return {
    status: response.status,
    header: Object.fromEntries(response.header),
    trailer: response.trailer && Object.fromEntries(response.trailer),
    body: (await bytesOf(response)).toString('latin1'),
    failure: call.failure,
    isReceived: call.isReceived,
    cause: call.cause,
  };
}

function bodyOf(call: Call, bytes: Buffer): ReceivedBody {
  const ignore = () => undefined;
  const admission = { hold: ignore, release: ignore, awaitBody: ignore, bodyCame: ignore };
  const source = Readable.from([bytes], { objectMode: false });
  return new ReceivedBody({
    ...{ source, call, admission, contentLength: undefined, onFlood: () => undefined },
    bytesMax: 2 * 1024 * 1024,
    envelopeBytes: 5,
  });
}

async function bytesOf({ body }: ExchangeResponse): Promise<Buffer> {
  const whole = body instanceof Uint8Array || typeof body === 'string' ? body : readWhole(body);
  return Buffer.from((await whole) ?? '');
}

const types = [
  'application/grpc',
  'application/grpc+proto',
  'application/grpc+json',
  'application/grpc-web',
  'application/grpc-web+json; charset=utf-8',
  'application/json',
  'application/json;charset=utf-8',
  'application/proto',
] as const;

const isJson = (type: string) => type.includes('json');
const encode = (type: string, request: { id?: string }) =>
  isJson(type)
    ? Buffer.from(JSON.stringify(request))
    : Buffer.from(
        toBinary(RetrieveEventRequestSchema, create(RetrieveEventRequestSchema, request)),
      );

function enclose(type: string, message: Buffer, flags = 0): Buffer {
  if (!type.includes('grpc')) return message;
  const head = Buffer.from([flags, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const acceptOf = (type: string) =>
  type.includes('grpc') ? 'grpc-accept-encoding' : 'accept-encoding';

const answers: Record<string, Retrieve> = {
  'an event': () => ({ event }),
  'nothing at all': () => ({}),
  'more than is sent uncompressed': () => ({
    event: { ...event, payload: { text: 'text '.repeat(1_000) } },
  }),
  'headers and trailers of its own': (_request, { responseHeader, responseTrailer }) => {
    responseHeader.set('cache-control', 'no-store');
    responseTrailer.append('x-last', 'one');
    responseTrailer.append('x-last', 'two');
    return { event };
  },
  'so many trailers that they are compressed': (_request, { responseTrailer }) => {
    responseTrailer.set('x-long', 'long '.repeat(400));
    return { event };
  },
  'what no codec can write': () => ({ event: { ...event, sequence: 2n ** 70n } }),
  'a refusal': () => {
    throw new EventNotFound(id);
  },
  'an error that nobody foresaw': () => {
    throw new RangeError('of the test');
  },
  'an error with details and metadata, and headers of its own': (_request, context) => {
    context.responseHeader.set('cache-control', 'no-store');
    context.responseTrailer.set('x-last', 'word');
    const error = new ConnectError('gone: 100%, ä', Code.Aborted, { 'x-more': 'told' });
    error.details.push({ desc: ErrorInfoSchema, value: { reason: 'R', domain: 'd' } });
    throw error;
  },
  'an error as long as is compressed': () => {
    throw new ConnectError('long '.repeat(1_000), Code.Aborted);
  },
};

describe.each(types)('a usual call as %s', (type) => {
  const usual = { headers: { 'content-type': type }, body: enclose(type, encode(type, { id })) };
  const gzip = { ...usual, headers: { ...usual.headers, [acceptOf(type)]: 'br;q=1, gzip' } };
  const identity = { ...usual, headers: { ...usual.headers, 'content-encoding': 'identity' } };

  test.each(Object.entries(answers))(
    'that is answered with %s is answered as by Connect',
    async (_name, retrieve) => {
      const ways = createWays(retrieve);
      for (const sent of [usual, gzip, identity]) {
        expect(await send(ways.beside, sent)).toEqual(await send(ways.connect, sent));
      }
    },
  );

  test('comes to no handler of Connect when it goes well', async () => {
    const ways = createWays(() => ({ event }));
    for (const sent of [usual, gzip])
      expect(await send(ways.beside, sent)).toMatchObject({ status: 200 });
    expect(ways.throughConnect()).toBe(0);
    await send(ways.connect, usual);
    expect(ways.throughConnect()).toBe(1);
  });

  const odd: Record<string, Partial<Sent>> = {
    'whose key is wrong': { headers: { authorization: 'Bearer wrong' } },
    'without a body': { body: Buffer.alloc(0) },
    'with an id that breaks a rule': { body: enclose(type, encode(type, { id: 'x'.repeat(99) })) },
    'that cannot be parsed': { body: enclose(type, Buffer.from([0x0a, 0xff])) },
    'that is not UTF-8': { body: enclose(type, Buffer.from([0x22, 0xff, 0x22])) },
    'in half an envelope': { body: usual.body.subarray(0, 3) },
    'with less than its envelope says': { body: usual.body.subarray(0, -1) },
    'in two envelopes': { body: Buffer.concat([usual.body, usual.body]) },
    'with a flag that nobody knows': { body: enclose(type, encode(type, { id }), 0b1000_0000) },
    'that says it is compressed, and not how': { body: enclose(type, gzipSync('{}'), 1) },
    'that is compressed': {
      headers: { [type.includes('grpc') ? 'grpc-encoding' : 'content-encoding']: 'gzip' },
      body: type.includes('grpc')
        ? enclose(type, gzipSync(encode(type, { id })), 1)
        : gzipSync(encode(type, { id })),
    },
    'in an encoding that nobody knows': {
      headers: { 'grpc-encoding': 'x', 'content-encoding': 'x' },
    },
    'with a timeout that is none': { headers: { 'grpc-timeout': 'x', 'connect-timeout-ms': 'x' } },
    'with a timeout that is too long': {
      headers: { 'grpc-timeout': '99999999H', 'connect-timeout-ms': '9999999999' },
    },
    'whose type is written in capitals': { headers: { 'content-type': type.toUpperCase() } },
  };

  test.each(Object.entries(odd))('but %s is answered as by Connect', async (_name, more) => {
    const ways = createWays(() => ({ event }));
    for (const base of [usual, gzip]) {
      const sent = { ...base, ...more, headers: { ...base.headers, ...more.headers } };
      expect(await send(ways.beside, sent)).toEqual(await send(ways.connect, sent));
    }
  });

  test('passes the gate once, also where it is given to Connect with its body', async () => {
    const ways = createWays(() => ({ event }));
    const spare = Buffer.from([0b1000_0000, 0, 0, 0, 0]);
    const body = type.includes('grpc-web') ? Buffer.concat([usual.body, spare]) : usual.body;
    const sent = { ...usual, body };
    expect(await send(ways.beside, sent)).toEqual(await send(ways.connect, sent));
    expect(ways.admitted()).toBe(2);
  });
});

describe('a handler', () => {
  const contextOf = async (
    headers: Record<string, string>,
    look: (context: HandlerContext) => unknown,
  ) => {
    const seen: unknown[] = [];
    const ways = createWays((_request, context) => {
      seen.push(look(context));
      return { event };
    });
    const type = 'application/grpc+proto';
    const sent = {
      headers: { 'content-type': type, ...headers },
      body: enclose(type, encode(type, { id })),
    };
    await send(ways.beside, sent);
    await send(ways.connect, sent);
    return seen;
  };

  test('is told of its call as Connect tells it', async () => {
    const [beside, connect] = await contextOf({ traceparent: 'of the test' }, (context) => [
      context.method.name,
      context.service.typeName,
      context.protocolName,
      context.requestMethod,
      context.url,
      context.timeoutMs(),
      context.signal.aborted,
      Object.fromEntries(context.requestHeader),
      new Headers(context.requestHeader).get('TraceParent'),
      context.requestHeader.get('TraceParent'),
      context.values.get(callKey)?.requestId,
    ]);
    expect(beside).toEqual(connect);
  });

  test.each([
    ['0m', true],
    ['9S', false],
  ])('whose caller gives it %s sees whether its time is up', async (timeout, isOver) => {
    const seen = await contextOf({ 'grpc-timeout': timeout }, ({ signal }) => [
      signal.aborted,
      signal.reason?.code,
    ]);
    expect(seen).toEqual(Array(2).fill([isOver, isOver ? Code.DeadlineExceeded : undefined]));
  });

  test('whose time is up while it waits is told so, and its refusal is that of Connect', async () => {
    const ways = createWays(
      (_request, { signal }) =>
        new Promise((_resolve, reject) => {
          const end = () => reject(signal.reason);
          if (signal.aborted) end();
          else signal.addEventListener('abort', end);
        }),
    );
    const type = 'application/json';
    const sent = {
      headers: { 'content-type': type, 'connect-timeout-ms': '20' },
      body: encode(type, { id }),
    };
    const answer = await send(ways.beside, sent);
    expect(answer).toEqual(await send(ways.connect, sent));
    expect(answer.failure?.code).toBe('deadline_exceeded');
  });
});
