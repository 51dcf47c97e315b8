import { connect, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ServerReflection } from '../gen/typescript/grpc/reflection/v1/reflection_pb.ts';
import { createAdmission } from '../src/server/calls/admission.ts';
import { beginCall } from '../src/server/calls/call.ts';
import type { ClientStreamLimits } from '../src/server/limits.ts';
import { createInflation } from '../src/server/wire/inflation.ts';
import { StreamedBody } from '../src/server/wire/streamed-body.ts';
import { refusalOf } from './support/errors.ts';
import {
  frame,
  frameTypes,
  grpcEnvelope,
  grpcFields,
  headersFrame,
  opening,
} from './support/http2-frames.ts';
import { openRawSocket } from './support/raw-socket.ts';

const usual: ClientStreamLimits = {
  messageBytesMax: 64 * 1024,
  waitingBytesMax: 64 * 1024 * 1024,
  messagesMax: 1_000,
  idleMs: 60_000,
};

function createBody(source: Readable, limits: Partial<ClientStreamLimits> = {}) {
  const admission = createAdmission();
  const call = beginCall('POST', {});
  admission.begin(call, () => false);
  admission.admit(call, 'client_stream_without_key');
  const closing = new AbortController();
  const body = new StreamedBody({
    source,
    call,
    admission,
    limits: { ...usual, ...limits },
    closing: closing.signal,
    onFlood: () => source.destroy(),
  });
  return { body, messages: body[Symbol.asyncIterator](), call, closing };
}

test('a sender that is faster than the reader is held back, and loses nothing', async () => {
  const server = createServer({ settings: { initialWindowSize: 1024 * 1024 } });
  const arrived = new Promise<ServerHttp2Stream>((resolve) => server.once('stream', resolve));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const sending = session.request({ ':method': 'POST' });
  sending.on('error', () => undefined);
  const message = grpcEnvelope(Buffer.alloc(60_000, 'x'));
  const count = 300;
  for (let sent = 0; sent < count; sent++) sending.write(message);
  sending.end();

  const source = await arrived;
  const { body, call } = createBody(source);
  await expect.poll(() => call.bodyBytes).toBeGreaterThan(1024 * 1024);
  // Pings come behind all that may be sent: after some of them without a change, nothing more comes.
  for (let unchanged = 0, before = 0; unchanged < 20; before = call.bodyBytes) {
    await new Promise((answered) => session.ping(answered));
    unchanged = call.bodyBytes === before ? unchanged + 1 : 0;
  }
  // What HTTP/2 lets it send unasked, in a buffer that has grown to twice of it.
  expect(call.bodyBytes).toBeLessThan(3 * 1024 * 1024);
  let received = 0;
  for await (const one of body) received += one.byteLength;
  expect(received).toBe(count * message.length);
  expect(call.bodyBytes).toBe(0);
  session.destroy();
  server.close();
});

test('a stream that is reset is not taken for one that has ended', async () => {
  const server = createServer();
  const arrived = new Promise<ServerHttp2Stream>((resolve) => server.once('stream', resolve));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const socket = await openRawSocket({ host: '127.0.0.1', port });
  const data = frame(frameTypes.data, 0, 1, grpcEnvelope(Buffer.from('a')));
  socket.write(Buffer.concat([opening, headersFrame(1, grpcFields('/')), data]));
  const source = await arrived;
  source.on('error', () => undefined);
  const { messages } = createBody(source);
  expect((await messages.next()).value).toHaveLength(6);
  const next = refusalOf(messages.next());
  socket.write(frame(frameTypes.reset, 0, 1, Buffer.from([0, 0, 0, 8])));
  expect(await next).toMatchObject({ code: 'Canceled' });
  socket.destroy();
  server.close();
});

describe('whoever waits for a message', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const openSource = () => new Readable({ read: () => undefined });

  test('waits for 60 seconds, from the answer to the one before', async () => {
    const source = openSource();
    const { messages, call } = createBody(source);
    const first = messages.next();
    await vi.advanceTimersByTimeAsync(59_999);
    source.push(grpcEnvelope(Buffer.from('a')));
    expect((await first).value).toHaveLength(6);

    const late = refusalOf(messages.next());
    await vi.advanceTimersByTimeAsync(59_999);
    // The beginning of a message is none.
    source.push(Buffer.from([0, 0, 0]));
    await vi.advanceTimersByTimeAsync(1);
    expect(await late).toMatchObject({ code: 'DeadlineExceeded' });
    expect(call.bodyBytes).toBe(0);
  });

  test('waits for a second when the service stops', async () => {
    const source = openSource();
    const { messages, closing } = createBody(source);
    const first = messages.next();
    closing.abort();
    await vi.advanceTimersByTimeAsync(999);
    source.push(grpcEnvelope(Buffer.from('a')));
    expect((await first).done).toBe(false);
    const second = refusalOf(messages.next());
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await second).toMatchObject({ code: 'Unavailable', reason: 'SHUTTING_DOWN' });
  });

  test('waits for a second more when it has waited before the service stops', async () => {
    const { messages, closing } = createBody(openSource());
    const first = refusalOf(messages.next());
    await vi.advanceTimersByTimeAsync(30_000);
    closing.abort();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await first).toMatchObject({ code: 'Unavailable', reason: 'SHUTTING_DOWN' });
  });

  test('is told when its sender has gone', async () => {
    const source = openSource();
    const { messages } = createBody(source);
    const next = refusalOf(messages.next());
    source.destroy();
    expect(await next).toMatchObject({ code: 'Canceled' });
  });
});

test('what is sent after a body was let go is thrown away', async () => {
  const source = new Readable({ read: () => undefined });
  const { body, messages, call } = createBody(source);
  source.push(grpcEnvelope(Buffer.from('a')));
  expect((await messages.next()).done).toBe(false);
  body.release();
  for (let sent = 0; sent < 100; sent++) source.push(grpcEnvelope(Buffer.alloc(60_000)));
  expect(call.bodyBytes).toBe(0);
  expect(source.readableLength).toBe(0);
});

test('what each message of a stream is inflated to counts, also of those that are pulled later', async () => {
  const inflation = createInflation();
  const [gzip] = inflation.compressions;
  const held: number[] = [];
  async function* answers() {
    for (const bytes of [1_000, 2_000]) {
      yield (await gzip?.decompress(gzipSync(Buffer.alloc(bytes)), 10_000)) as Uint8Array;
    }
  }
  const handler = Object.assign(async () => ({ status: 200, body: answers() }), {
    method: ServerReflection.method.serverReflectionInfo,
  }) as unknown as UniversalHandler;
  const body = { hold: (bytes: number) => void held.push(bytes) };
  const header = new Headers({ 'grpc-encoding': 'gzip' });
  const response = await inflation.counted(handler)({ method: 'POST', header, body } as never);
  const pulled = (response.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  await pulled.next();
  await pulled.next();
  expect(held).toEqual([1_000, 2_000]);
});
