import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { compressionAlgorithms, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  clientStreamsWithoutKeyMax,
  clientStreamsWithoutKeyOfConnectionMax,
  messagesWithoutKeyMax,
  requestBytesWithoutKeyMax,
} from '../src/server/limits.ts';
import {
  frame,
  framesOf,
  frameTypes,
  grpcEnvelope,
  grpcFields,
  headersFrame,
  opening,
} from './support/http2-frames.ts';
import { openRawSocket } from './support/raw-socket.ts';
import { listServices, openQuestions } from './support/reflection-client.ts';
import { startTestService, type TestService } from './support/test-service.ts';

/**
 * Streams from clients, in both directions: those of reflection, which need no key, so that whatever a client may do
 * here, anybody may.
 */
const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
/** list_services, a text without letters. */
const question = grpcEnvelope(Buffer.from([0x3a, 0]));

let service: TestService;
const sessions: ClientHttp2Session[] = [];
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await expect.poll(() => service.app.load()).toEqual(nothing);
});

const nothing = {
  streams: 0,
  calls: 0,
  callsWithoutKey: 0,
  bodyBytes: 0,
  bodyBytesWithoutKey: 0,
  answerBytes: 0,
};
const failures = () =>
  service.logLines.filter((line) => line.path === path).map(({ reason }) => reason);

function openSession(): ClientHttp2Session {
  const session = connect(service.baseUrl);
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
}

/** A stream of gRPC as bytes, and what came back. */
interface OpenCall {
  readonly stream: ClientHttp2Stream;
  readonly received: Buffer[];
  /** `grpc-status`, once the service has ended the stream. */
  status(): unknown;
}

function openCall(session = openSession(), headers = {}): OpenCall {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc+proto',
    te: 'trailers',
    ...headers,
  });
  const received: Buffer[] = [];
  const told: Record<string, unknown> = {};
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => received.push(chunk));
  for (const event of ['response', 'trailers']) {
    stream.on(event, (fields) => void Object.assign(told, fields));
  }
  return { stream, received, status: () => told['grpc-status'] };
}

const answersOf = ({ received }: OpenCall) => {
  const bytes = Buffer.concat(received);
  let count = 0;
  for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt32BE(at + 1)) count++;
  return count;
};

describe('a stream in both directions', () => {
  test('answers before its client has ended, and ends when its client has', async () => {
    const call = openCall();
    for (let asked = 1; asked <= 3; asked++) {
      call.stream.write(question);
      await expect.poll(() => answersOf(call)).toBe(asked);
    }
    expect(call.status()).toBeUndefined();
    call.stream.end(question);
    await expect.poll(call.status).toBe('0');
    expect(answersOf(call)).toBe(4);
  });

  test('answers all that came at once, in its order', async () => {
    const call = openCall();
    call.stream.end(Buffer.concat(new Array(messagesWithoutKeyMax).fill(question)));
    await expect.poll(call.status).toBe('0');
    expect(answersOf(call)).toBe(messagesWithoutKeyMax);
  });

  test('takes messages in whatever pieces they come', async () => {
    const call = openCall();
    for (const byte of Buffer.concat([question, question])) {
      await new Promise((written) => call.stream.write(Buffer.from([byte]), written));
    }
    await expect.poll(() => answersOf(call)).toBe(2);
    call.stream.end();
    await expect.poll(call.status).toBe('0');
  });

  test('is over for the service when its client leaves, and not taken for one that has ended', async () => {
    const socket = await openRawSocket(service);
    const head = [
      opening,
      headersFrame(1, grpcFields(path)),
      frame(frameTypes.data, 0, 1, question),
    ];
    socket.write(Buffer.concat(head));
    await socket.until(/grpc.health.v1.Health/);
    socket.write(frame(frameTypes.reset, 0, 1, Buffer.from([0, 0, 0, 8])));
    await expect.poll(() => service.app.load().calls).toBe(0);
    expect(failures().at(-1)).toBe('CANCELLED');
    socket.destroy();
  });

  test('ends with its deadline, also while its client says nothing', async () => {
    const call = openCall(undefined, { 'grpc-timeout': '300m' });
    call.stream.write(question);
    await expect.poll(call.status).toBe(`${status.DEADLINE_EXCEEDED}`);
    expect(answersOf(call)).toBe(1);
  });

  test('takes compressed messages', async () => {
    using stream = openQuestions(service, {
      channel: { 'grpc.default_compression_algorithm': compressionAlgorithms.gzip },
    });
    expect((await stream.ask(listServices))?.case).toBe('listServicesResponse');
    expect((await stream.ask(listServices))?.case).toBe('listServicesResponse');
  });

  test('that ends amid a message is told so', async () => {
    const call = openCall();
    call.stream.end(question.subarray(0, 6));
    await expect.poll(call.status).toBe(`${status.INVALID_ARGUMENT}`);
  });

  test('holds no message of the past, nor what it was inflated to', async () => {
    const call = openCall(undefined, { 'grpc-encoding': 'gzip' });
    const message = Buffer.concat([Buffer.from([0x1a, 0xa0, 0x1f]), Buffer.alloc(4_000, 'x')]);
    const compressed = grpcEnvelope(gzipSync(message));
    compressed[0] = 1;
    for (let asked = 1; asked <= 5; asked++) {
      call.stream.write(compressed);
      await expect.poll(() => answersOf(call)).toBe(asked);
      expect(service.app.load().bodyBytes).toBe(0);
    }
  });
});

test('a stream with nothing to say ends as soon as the service stops, and one that is used is answered', async () => {
  const stopping = await startTestService();
  using idle = openQuestions(stopping);
  expect((await idle.ask(listServices))?.case).toBe('listServicesResponse');
  const stopped = stopping.stop();
  await expect(idle.nextAnswer()).rejects.toMatchObject({
    code: status.UNAVAILABLE,
    details: expect.stringContaining('is being stopped'),
  });
  await stopped;
});

describe('whoever has no key', () => {
  test('sends messages of 4 KiB at the most', async () => {
    const call = openCall();
    call.stream.write(grpcEnvelope(Buffer.alloc(requestBytesWithoutKeyMax + 1)));
    await expect.poll(call.status).toBe(`${status.RESOURCE_EXHAUSTED}`);
    expect(failures().at(-1)).toBe('REQUEST_TOO_LARGE');
  });

  test('is refused a message by the length that it announces, before it comes', async () => {
    const call = openCall();
    call.stream.write(Buffer.concat([question, Buffer.from([0, 0, 1, 0, 0])]));
    await expect.poll(call.status).toBe(`${status.RESOURCE_EXHAUSTED}`);
    expect(answersOf(call)).toBe(1);
  });

  test('sends messages of 4 KiB at the most when they are inflated', async () => {
    const call = openCall(undefined, { 'grpc-encoding': 'gzip' });
    const message = gzipSync(Buffer.alloc(1024 * 1024));
    const compressed = grpcEnvelope(message);
    compressed[0] = 1;
    expect(message.length).toBeLessThan(requestBytesWithoutKeyMax);
    call.stream.write(compressed);
    await expect.poll(call.status).toBe(`${status.RESOURCE_EXHAUSTED}`);
  });

  test('asks 1,000 times on a stream, and is then sent to another one', async () => {
    const call = openCall();
    call.stream.write(Buffer.concat(new Array(messagesWithoutKeyMax + 1).fill(question)));
    await expect.poll(call.status).toBe(`${status.RESOURCE_EXHAUSTED}`);
    expect(answersOf(call)).toBe(messagesWithoutKeyMax);
    expect(failures().at(-1)).toBe('OVERLOADED');
  });

  test('holds 64 KiB of the service while it takes no answers, however much it sends', async () => {
    const session = connect(service.baseUrl, { settings: { initialWindowSize: 0 } });
    sessions.push(session);
    await once(session, 'remoteSettings');
    const call = openCall(session);
    const sent = Buffer.concat(new Array(80_000).fill(question));
    let most = 0;
    call.stream.write(sent);
    const held = () => {
      const { bodyBytes } = service.app.load();
      most = Math.max(most, bodyBytes);
      return bodyBytes;
    };
    await expect.poll(held, { interval: 1 }).toBeGreaterThan(0);
    // The message that is being answered is held still.
    await expect.poll(held, { interval: 1 }).toBeLessThanOrEqual(question.length);
    expect(most).toBeLessThanOrEqual(2 * 64 * 1024 + 5_000);
  });

  test('has 16 streams on a connection: one more, and its oldest gives way, and no other', async () => {
    const other = openCall();
    other.stream.write(question);
    await expect.poll(() => answersOf(other)).toBe(1);
    const session = openSession();
    const calls: OpenCall[] = [];
    for (let opened = 0; opened <= clientStreamsWithoutKeyOfConnectionMax; opened++) {
      const call = openCall(session);
      call.stream.write(question);
      await expect.poll(() => answersOf(call)).toBe(1);
      calls.push(call);
    }
    await expect.poll(() => calls[0]?.stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(failures().at(-1)).toBe('OVERLOADED');
    expect(calls.filter(({ stream }) => stream.closed)).toHaveLength(1);
    expect(other.stream.closed).toBe(false);
  });

  test('has 64 streams on all connections: one more, and the oldest gives way', async () => {
    const calls: OpenCall[] = [];
    for (let opened = 0; opened <= clientStreamsWithoutKeyMax; opened++) {
      const call = openCall(opened % 10 === 0 ? undefined : sessions.at(-1));
      call.stream.write(question);
      await expect.poll(() => answersOf(call)).toBe(1);
      calls.push(call);
    }
    await expect.poll(() => calls[0]?.stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(calls.filter(({ stream }) => stream.closed)).toHaveLength(1);
    expect(service.app.load().calls).toBe(clientStreamsWithoutKeyMax);
  });

  test('leaves nothing behind where it gives way, also when it takes no answer', async () => {
    const session = connect(service.baseUrl, { settings: { initialWindowSize: 0 } });
    sessions.push(session);
    await once(session, 'remoteSettings');
    const before = failures().length;
    for (let opened = 1; opened <= 5 * clientStreamsWithoutKeyOfConnectionMax; opened++) {
      openCall(session).stream.write(question);
    }
    await expect
      .poll(() => failures().slice(before))
      .toEqual(new Array(4 * clientStreamsWithoutKeyOfConnectionMax).fill('OVERLOADED'));
    expect(service.app.load().calls).toBe(clientStreamsWithoutKeyOfConnectionMax);
  });

  test('takes no place of those who watch the health, nor of those who subscribe', async () => {
    const watch = openSession().request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Watch',
      'content-type': 'application/grpc+proto',
      te: 'trailers',
    });
    watch.on('error', () => undefined);
    watch.end(Buffer.alloc(5));
    await once(watch, 'data');
    for (let opened = 0; opened < 150; opened++) {
      openCall(opened % 10 === 0 ? undefined : sessions.at(-1)).stream.write(question);
    }
    await expect.poll(() => service.app.load().calls).toBe(1 + clientStreamsWithoutKeyMax);
    expect(watch.closed).toBe(false);
  });
});

describe('a message of one-byte frames', () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage: () => void = runInNewContext('gc');
  const usedBytes = () => {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };

  test('costs about its bytes, also of a client that is held back', async () => {
    const before = usedBytes();
    const socket = await openRawSocket(service);
    const noWindow = frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));
    socket.write(Buffer.concat([opening, noWindow, headersFrame(1, grpcFields(path))]));
    const frames = [...question].map((byte) => frame(frameTypes.data, 0, 1, Buffer.from([byte])));
    const batch = Buffer.concat(new Array(500).fill(Buffer.concat(frames)));
    for (let sent = 0; sent < 60_000; sent += 3_500) {
      await new Promise((written) => socket.socket.write(batch, written));
    }
    await expect.poll(() => service.app.load().bodyBytes).toBeGreaterThan(40_000);
    expect(usedBytes() - before).toBeLessThan(3 * 1024 * 1024);
    expect(framesOf(socket).some(({ type }) => type === frameTypes.reset)).toBe(false);
    socket.destroy();
  });
});
