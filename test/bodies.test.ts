import { once } from 'node:events';
import { connect } from 'node:http2';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { brotliCompressSync, createBrotliCompress, gzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CreateEventRequestSchema,
  CreateEventResponseSchema,
} from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createEventsClient } from './support/clients.ts';
import { connectPost, createEventPath, refusalIn } from './support/connect-post.ts';
import { sendGrpc } from './support/grpc-send.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { grpcEnvelope } from './support/http2-frames.ts';
import { openRawSocket } from './support/raw-socket.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const requestBytesMax = 2 * 1024 * 1024;
const resourceExhausted = '8';
const encoders = { gzip: gzipSync, br: brotliCompressSync };
const encodings = Object.keys(encoders) as (keyof typeof encoders)[];

const megabyte = Buffer.alloc(1024 * 1024);
/**
 * 256 MB of zeros: as gzip many times 1 MB, since members may follow each other; as brotli 0.2 kB. Made
 * piece by piece: what this process has ever held at once is what a test below measures.
 */
const bombs = {
  gzip: Buffer.concat(new Array(256).fill(gzipSync(megabyte))),
  br: await buffer(Readable.from(new Array(256).fill(megabyte)).pipe(createBrotliCompress())),
};

const restBody = (text: string) =>
  JSON.stringify({ workspace_id: service.workspaceId, type: 'body', payload: { text } });
const binaryBody = (text: string) =>
  toBinary(
    CreateEventRequestSchema,
    create(CreateEventRequestSchema, {
      workspaceId: service.workspaceId,
      type: 'body',
      payload: { text },
    }),
  );
const compressed = (bytes: Uint8Array) => {
  const envelope = grpcEnvelope(bytes);
  envelope.writeUInt8(1, 0);
  return envelope;
};

/** A call that others make meanwhile: it is answered as always. */
async function expectService(): Promise<void> {
  const { event } = await createEventsClient(service).createEvent({
    workspaceId: service.workspaceId,
    type: 'meanwhile',
    payload: {},
  });
  expect(event?.type).toBe('meanwhile');
}

describe('a body above 2 MiB', () => {
  test('whose length is announced is refused by REST with 413', async () => {
    const socket = await openRawSocket(service);
    socket.write(
      `POST /v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${service.secretKey}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n',
    );
    socket.write(Buffer.alloc(requestBytesMax + 1, ' '));
    const answer = await socket.ended();
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('"reason":"REQUEST_TOO_LARGE"');
  });

  test('that comes in chunks without end is refused by REST with 413', async () => {
    const socket = await openRawSocket(service);
    socket.write(
      `POST /v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${service.secretKey}\r\n` +
        'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    const chunk = Buffer.concat([
      Buffer.from('10000\r\n'),
      Buffer.alloc(0x10000, ' '),
      Buffer.from('\r\n'),
    ]);
    while (socket.received() === '' && socket.socket.writable) {
      await new Promise((sent) => socket.socket.write(chunk, sent));
    }
    expect(await socket.ended()).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('is refused by Connect as RESOURCE_EXHAUSTED', async () => {
    const answer = await connectPost(
      service,
      createEventPath,
      restBody('x'.repeat(requestBytesMax)),
    );
    expect(await refusalIn(answer)).toMatchObject({
      code: 'ResourceExhausted',
      reason: 'REQUEST_TOO_LARGE',
      retryable: false,
    });
  });

  test('is refused by gRPC as RESOURCE_EXHAUSTED', async () => {
    const message = grpcEnvelope(Buffer.alloc(requestBytesMax + 1));
    const answer = await sendGrpc(service, createEventPath, [message]);
    expect(answer.status).toBe(resourceExhausted);
  });

  test('that never ends is refused by gRPC, and not waited for', async () => {
    const announced = Buffer.from([0, 0x3b, 0x9a, 0xca, 0x00]);
    const session = connect(service.baseUrl);
    const call = session.request({
      ':method': 'POST',
      ':path': createEventPath,
      'content-type': 'application/grpc+proto',
      authorization: `Bearer ${service.secretKey}`,
    });
    const closed = once(call, 'close');
    call.resume().on('error', () => undefined);
    const seen: object = {};
    call.on('response', (headers) => Object.assign(seen, headers));
    call.on('trailers', (trailers) => Object.assign(seen, trailers));
    call.write(announced);
    for (let sent = 0; sent < 12; sent++) call.write(Buffer.alloc(256 * 1024));
    await closed;
    session.destroy();
    expect(seen).toMatchObject({ 'grpc-status': resourceExhausted });
  });
});

describe.each(encodings)('a body in %s', (encoding) => {
  test('is read by REST, Connect and gRPC', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    const json = encoders[encoding](restBody('small'));
    expect((await sendRequest(service, '/v1/events', { headers, body: json })).status).toBe(201);
    expect((await connectPost(service, createEventPath, json, headers)).status).toBe(200);
    const message = compressed(encoders[encoding](binaryBody('small')));
    const answer = await sendGrpc(service, createEventPath, [message], {
      'grpc-encoding': encoding,
    });
    expect(answer.status).toBe('0');
    const { event } = fromBinary(CreateEventResponseSchema, answer.body.subarray(5));
    expect(event?.payload).toEqual({ text: 'small' });
  });

  test('is read by REST also where the answer is large', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    const text = 'large'.repeat(1_000);
    const body = encoders[encoding](restBody(text));
    const answer = await sendRequest(service, '/v1/events', { headers, body });
    expect(answer.status).toBe(201);
    expect(JSON.parse(answer.text)).toMatchObject({ payload: { text } });
  });

  test('that inflates to 256 MB is refused by REST with 413', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    const answer = await sendRequest(service, '/v1/events', { headers, body: bombs[encoding] });
    expect(problemOf(answer)).toMatchObject({ status: 413, reason: 'REQUEST_TOO_LARGE' });
  });

  test('that inflates to 256 MB is refused by Connect as RESOURCE_EXHAUSTED', async () => {
    const headers = { 'content-encoding': encoding };
    const answer = await connectPost(service, createEventPath, bombs[encoding], headers);
    expect(await refusalIn(answer)).toMatchObject({
      code: 'ResourceExhausted',
      reason: 'REQUEST_TOO_LARGE',
    });
  });

  test('that inflates to 256 MB is refused by gRPC as RESOURCE_EXHAUSTED', async () => {
    const message = compressed(bombs[encoding]);
    const answer = await sendGrpc(service, createEventPath, [message], {
      'grpc-encoding': encoding,
    });
    expect(answer.status).toBe(resourceExhausted);
  });

  test('that is not in it is the fault of the sender', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    const answer = await sendRequest(service, '/v1/events', { headers, body: restBody('plain') });
    expect(problemOf(answer)).toMatchObject({ status: 400, code: 'invalid_argument' });
  });

  test('never costs more memory than its limit, however many come at once', async () => {
    const before = process.resourceUsage().maxRSS;
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    const answers = await Promise.all(
      Array.from({ length: 16 }, () =>
        sendRequest(service, '/v1/events', { headers, body: bombs[encoding] }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([413]));
    const grownKilobytes = process.resourceUsage().maxRSS - before;
    expect(grownKilobytes).toBeLessThan(256 * 1024);
  });
});

test('a compression that is not spoken is refused, and those that are get named', async () => {
  const headers = { 'content-type': 'application/json', 'content-encoding': 'zstd' };
  const answer = await sendRequest(service, '/v1/events', { headers, body: restBody('x') });
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.status).not.toBe(500);
  expect(answer.text).toMatch(/gzip/);
});

describe('a body that stops half-way', () => {
  const bodiesHeld = async () => {
    const [row] = await service.database.query<{ count: number }>(
      `select count(*)::int from events where type = 'body' and payload::text like '%half%'`,
    );
    return row?.count;
  };

  test('over HTTP/1.1 stores nothing when the connection ends, and other calls go on', async () => {
    const body = restBody('half');
    const socket = await openRawSocket(service);
    socket.write(
      `POST /v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${service.secretKey}\r\n` +
        `X-Request-Id: half-1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body.slice(0, -5));
    await expectService();
    socket.destroy();
    await expect.poll(() => isLogged('half-1')).toBe(true);
    expect(await bodiesHeld()).toBe(0);
  });

  test('over HTTP/2 stores nothing when the connection ends, and other calls go on', async () => {
    const message = grpcEnvelope(binaryBody('half'));
    const session = connect(service.baseUrl);
    const call = session.request({
      ':method': 'POST',
      ':path': createEventPath,
      'content-type': 'application/grpc+proto',
      'x-request-id': 'half-2',
      authorization: `Bearer ${service.secretKey}`,
    });
    call.on('error', () => undefined);
    await new Promise((sent) => call.write(message.subarray(0, -5), sent));
    await expectService();
    session.destroy();
    await expect.poll(() => isLogged('half-2')).toBe(true);
    expect(await bodiesHeld()).toBe(0);
  });

  test('and ends there is refused by gRPC', async () => {
    const message = grpcEnvelope(binaryBody('half')).subarray(0, -5);
    expect((await sendGrpc(service, createEventPath, [message])).status).toBe('3');
    expect(await bodiesHeld()).toBe(0);
    // The whole of it is stored, and found.
    const whole = await sendGrpc(service, createEventPath, [grpcEnvelope(binaryBody('half'))]);
    expect(whole.status).toBe('0');
    expect(await bodiesHeld()).toBe(1);
  });

  /** Written when the call is over. */
  const isLogged = (id: string) => service.logLines.some(({ request_id }) => request_id === id);
});

test.each([
  ['no message', []],
  ['two messages', ['a', 'b']],
])(
  'a unary call of gRPC with %s is refused',
  async (_what, texts) => {
    const messages = texts.map((text) => grpcEnvelope(binaryBody(text)));
    const answer = await sendGrpc(service, createEventPath, messages);
    expect(answer.status).toBe('12');
  },
  5_000,
);

test('a call over HTTP/2 that ends with its headers is answered', async () => {
  const session = connect(service.baseUrl);
  const call = session.request(
    {
      ':method': 'POST',
      ':path': '/v1/events',
      'content-type': 'application/json',
      authorization: `Bearer ${service.secretKey}`,
    },
    { endStream: true },
  );
  const [headers] = await once(call, 'response');
  expect(headers[':status']).toBe(400);
  session.destroy();
}, 5_000);
