import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  CreateEventRequestSchema,
  CreateEventResponseSchema,
} from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createEventsClient } from './support/clients.ts';
import { createEventPath } from './support/connect-post.ts';
import { sendRequest } from './support/http-request.ts';
import {
  endStream,
  type Frame,
  frame,
  framesOf,
  frameTypes,
  grpcEnvelope,
  grpcFields,
  headersFrame,
  opening,
  preface,
} from './support/http2-frames.ts';
import { exchangeRaw, openRawSocket, type RawSocket } from './support/raw-socket.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

// Whatever a test sends, the process lives and answers the next call, in both versions of HTTP.
afterEach(async () => {
  expect((await sendRequest(service, '/healthz')).status).toBe(200);
  const { event } = await createEventsClient(service).createEvent({
    workspaceId: service.workspaceId,
    type: 'alive',
    payload: {},
  });
  expect(event?.type).toBe('alive');
});

/** Waits for a frame that the other side sends. */
async function firstFrame(socket: RawSocket, wanted: (frame: Frame) => boolean): Promise<Frame> {
  for (;;) {
    const found = framesOf(socket).find(wanted);
    if (found !== undefined) return found;
    await once(socket.socket, 'data');
  }
}

/** Waits for the first message of gRPC, whose bytes may come in several frames. */
async function firstMessage(socket: RawSocket): Promise<Buffer> {
  for (;;) {
    const data = framesOf(socket).filter(({ type }) => type === frameTypes.data);
    const bytes = Buffer.concat(data.map(({ payload }) => payload));
    if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) return bytes.subarray(5);
    await once(socket.socket, 'data');
  }
}

/** A create as bytes, and what its answer says. */
function createCall({ workspaceId }: TestService, text: string) {
  const message = create(CreateEventRequestSchema, {
    workspaceId,
    type: 'bytes',
    payload: { text },
  });
  return {
    request: toBinary(CreateEventRequestSchema, message),
    answer: (bytes: Uint8Array) => fromBinary(CreateEventResponseSchema, bytes),
  };
}

const healthz = 'GET /healthz HTTP/1.1\r\nHost: h\r\n';
const healthWatchPath = '/grpc.health.v1.Health/Watch';
const healthCheckPath = '/grpc.health.v1.Health/Check';

describe('an HTTP/1.1 request whose Host is', () => {
  test.each([
    ['two words', 'GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n'],
    ['of a port beyond 65,535', 'GET /healthz HTTP/1.1\r\nHost: h:99999\r\n\r\n'],
    ['of a port that is no number', 'GET /healthz HTTP/1.1\r\nHost: a:b\r\n\r\n'],
    ['empty', 'GET /healthz HTTP/1.1\r\nHost:\r\n\r\n'],
    ['missing', 'GET /healthz HTTP/1.1\r\n\r\n'],
    ['missing, as HTTP/1.0 may', 'GET /healthz HTTP/1.0\r\n\r\n'],
    ['there twice', 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['a path', 'GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n'],
    ['with a user', 'GET /healthz HTTP/1.1\r\nHost: u@h\r\n\r\n'],
    ['half an IPv6 address', 'GET /healthz HTTP/1.1\r\nHost: [::1\r\n\r\n'],
    ['not ASCII', 'GET /healthz HTTP/1.1\r\nHost: h\xe9\r\n\r\n'],
    ['very long', `GET /healthz HTTP/1.1\r\nHost: ${'h'.repeat(5_000)}\r\n\r\n`],
  ])('%s is answered with 400', async (_what, request) => {
    const socket = await openRawSocket(service);
    socket.write(Buffer.from(request, 'latin1'));
    expect(await socket.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
  });

  test.each(['h', 'h:1', 'H.example:65535', '127.0.0.1', '[::1]:8080', 'a_b'])(
    '%s is answered',
    async (host) => {
      const socket = await openRawSocket(service);
      socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect(await socket.until(/SERVING/)).toMatch(/^HTTP\/1\.1 200 /);
      socket.destroy();
    },
  );
});

async function statusOf(authority: string): Promise<number> {
  const session = connect(service.baseUrl);
  try {
    const call = session.request({ ':path': '/healthz', ':authority': authority });
    const [headers] = await once(call, 'response');
    return headers[':status'];
  } finally {
    session.destroy();
  }
}

describe('an HTTP/2 request whose :authority is', () => {
  test.each(['a b', 'a:b', 'h:99999', 'a/b', 'u@h', '[::1', ' ', 'h,h'])(
    '%j is answered with 400, or its stream is refused',
    async (authority) => {
      const status = await statusOf(authority).catch((error) => error.code);
      expect([400, 'ERR_HTTP2_STREAM_ERROR']).toContain(status);
    },
  );

  test('empty is answered with 400, or its stream is refused', async () => {
    const socket = await openRawSocket(service);
    socket.write(
      Buffer.concat([
        opening,
        headersFrame(1, grpcFields(healthCheckPath, { authority: '' }), endStream),
      ]),
    );
    const answer = await firstFrame(socket, ({ streamId }) => streamId === 1);
    const refused = answer.type === frameTypes.reset || answer.payload.includes(0x8c);
    expect(refused).toBe(true); // 0x8c: the static entry ":status: 400".
    socket.destroy();
  });

  test.each(['h', 'h:1', '[::1]:8080'])('%s is answered', async (authority) => {
    expect(await statusOf(authority)).toBe(200);
  });
});

describe('bytes that are not a request', () => {
  test.each([
    ['garbage', Buffer.from('\x00\x01\x02garbage\r\n\r\n', 'latin1')],
    ['a hello of TLS', Buffer.from('16030100c8010000c40303', 'hex')],
    ['a proxy header', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\r\n')],
    ['a preface of HTTP/2 that goes wrong', Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')],
    ['a preface with garbage behind it', Buffer.concat([preface, Buffer.alloc(64, 0xff)])],
    ['a header without end', Buffer.from(`${healthz}X: ${'x'.repeat(200_000)}`)],
    [
      'two lengths',
      Buffer.from(
        'POST /v1/events HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{',
      ),
    ],
    [
      'a length and chunks',
      Buffer.from(
        'POST /v1/events HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ),
    ],
    ['a tunnel', Buffer.from('CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n')],
  ])('%s end the connection, and nothing else', async (_what, bytes) => {
    const answer = await exchangeRaw(service, bytes);
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/);
  });
});

describe('HTTP/1.1', () => {
  test('answers requests that were sent at once in their order', async () => {
    const socket = await openRawSocket(service);
    const request = (id: string) => `${healthz}X-Request-Id: ${id}\r\n\r\n`;
    socket.write(request('one') + request('two') + request('three'));
    const answers = await socket.until(/three[\s\S]*SERVING/);
    const ids = [...answers.matchAll(/x-request-id: (\w+)/g)].map((match) => match[1]);
    expect(ids).toEqual(['one', 'two', 'three']);
    socket.destroy();
  });

  test('answers one request after the other on one connection', async () => {
    const socket = await openRawSocket(service);
    for (let count = 1; count <= 3; count++) {
      socket.write(`${healthz}\r\n`);
      await socket.until(new RegExp(`(SERVING[\\s\\S]*){${count}}`));
    }
    expect(socket.socket.destroyed).toBe(false);
    socket.destroy();
  });

  test('answers a request that arrives byte by byte', async () => {
    const socket = await openRawSocket(service);
    for (const byte of Buffer.from(`${healthz}\r\n`)) {
      await new Promise((sent) => socket.socket.write(Buffer.from([byte]), sent));
    }
    expect(await socket.until(/SERVING/)).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });
});

describe('HTTP/2', () => {
  test('is spoken on the same port as HTTP/1.1, after a preface that arrives byte by byte', async () => {
    const socket = await openRawSocket(service);
    for (const byte of opening) {
      await new Promise((sent) => socket.socket.write(Buffer.from([byte]), sent));
    }
    const settings = await firstFrame(socket, ({ type }) => type === frameTypes.settings);
    expect(settings.flags).toBe(0);
    socket.destroy();
  });

  test('answers a call whose body arrives in 20,000 frames of one byte', async () => {
    const { request, answer } = createCall(service, 'x'.repeat(20_000));
    const socket = await openRawSocket(service);
    const body = [...grpcEnvelope(request)].map((byte) =>
      frame(frameTypes.data, 0, 1, Buffer.from([byte])),
    );
    socket.write(
      Buffer.concat([
        opening,
        headersFrame(1, grpcFields(createEventPath, service)),
        ...body,
        frame(frameTypes.data, endStream, 1),
      ]),
    );
    expect(answer(await firstMessage(socket))).toMatchObject({
      event: { payload: { text: 'x'.repeat(20_000) } },
    });
    socket.destroy();
  });

  test('takes no headers above 16 KiB before its peer has taken the settings either', async () => {
    const client = connect(service.baseUrl);
    const headers = { ':method': 'POST', ':path': '/grpc.health.v1.Health/Check' };
    const call = client.request(
      { ...headers, 'x-large': 'x'.repeat(20 * 1024) },
      { endStream: false },
    );
    await once(call, 'error');
    expect(call.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    client.destroy();
  });

  test('refuses calls beyond 128 at once on one connection', async () => {
    const socket = await openRawSocket(service);
    const ids = Array.from({ length: 140 }, (_, index) => 2 * index + 1);
    const watch = (id: number) =>
      Buffer.concat([
        headersFrame(id, grpcFields(healthWatchPath)),
        frame(frameTypes.data, endStream, id, grpcEnvelope(Buffer.alloc(0))),
      ]);
    // Sent before the settings of the server were read, as a client may that heeds no limit.
    socket.write(Buffer.concat([opening, ...ids.map(watch)]));
    const answeredOrRefused = () =>
      new Set(framesOf(socket).flatMap((one) => (one.streamId === 0 ? [] : [one.streamId]))).size;
    await expect.poll(answeredOrRefused, { timeout: 5_000 }).toBe(140);
    const refused = framesOf(socket).filter(({ type }) => type === frameTypes.reset);
    expect(refused.map(({ streamId }) => streamId)).toEqual(ids.slice(128));
    const refusedStream = 7;
    expect(new Set(refused.map(({ payload }) => payload.readUInt32BE()))).toEqual(
      new Set([refusedStream]),
    );
    socket.destroy();
  });

  test('ends a connection that opens and resets streams without end', async () => {
    const socket = await openRawSocket(service);
    const cancel = Buffer.from([0, 0, 0, 8]);
    const rounds = Array.from({ length: 20_000 }, (_, index) =>
      Buffer.concat([
        headersFrame(2 * index + 1, grpcFields(createEventPath, service)),
        frame(frameTypes.reset, 0, 2 * index + 1, cancel),
      ]),
    );
    socket.write(Buffer.concat([opening, ...rounds]));
    await socket.ended();
  });
});
