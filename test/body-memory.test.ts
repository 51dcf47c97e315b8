import { PassThrough } from 'node:stream';
import { setImmediate as immediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import type { ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CreateEventRequestSchema } from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { newSecret } from '../src/api-keys/index.ts';
import { ampleRoom, divideMemory } from '../src/memory-room.ts';
import { type Admission, createAdmission } from '../src/server/calls/admission.ts';
import { beginCall, type Call } from '../src/server/calls/call.ts';
import { reasonOf } from '../src/server/errors/errors.ts';
import { CallsInFlightFull } from '../src/server/errors/request-errors.ts';
import { batchBytesMax, callsWithoutKeyMax } from '../src/server/limits.ts';
import { ReceivedBody } from '../src/server/wire/request-body.ts';
import { connectPost, createEventPath, refusalIn } from './support/connect-post.ts';
import { sendGrpc } from './support/grpc-send.ts';
import { sendRequest } from './support/http-request.ts';
import {
  frame,
  frameTypes,
  grpcEnvelope,
  grpcFields,
  headersFrame,
  opening,
} from './support/http2-frames.ts';
import { openRawSocket, type RawSocket } from './support/raw-socket.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const requestBytesMax = 2 * 1024 * 1024;
const checkPath = '/grpc.health.v1.Health/Check';
const listEventsPath = '/harbor.events.v1.EventsService/ListEvents';
const connectionCount = 2;
const pieceCount = 200_000;
/** More than an allocator may keep for itself, and far less than the 330 bytes of a piece that is kept. */
const memoryBytesMax = connectionCount * pieceCount * 60;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const wires = {
  'HTTP/1.1': {
    head: (path: string, secretKey: string) =>
      `POST ${path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${secretKey}\r\n` +
      'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    piece: Buffer.from('1\r\n \r\n'),
  },
  'HTTP/2': {
    head: (path: string, secretKey: string) =>
      Buffer.concat([opening, headersFrame(1, grpcFields(path, { secretKey }))]),
    piece: frame(frameTypes.data, 0, 1, Buffer.from(' ')),
  },
};

/** A body of one-byte pieces that does not end, as far as the other side takes it. */
async function sendPieces(wire: keyof typeof wires, path: string, key: string): Promise<RawSocket> {
  const { head, piece } = wires[wire];
  const socket = await openRawSocket(service);
  socket.write(head(path, key));
  const batch = Buffer.concat(new Array(5_000).fill(piece));
  for (let sent = 0; sent < pieceCount && socket.socket.writable; sent += 5_000) {
    await new Promise((written) => socket.socket.write(batch, written));
  }
  return socket;
}

const sendFromAll = (wire: keyof typeof wires, path: string, key: string) =>
  Promise.all(Array.from({ length: connectionCount }, () => sendPieces(wire, path, key)));

describe.each(['HTTP/1.1', 'HTTP/2'] as const)('a body of one-byte pieces over %s', (wire) => {
  test('costs about its bytes while it is received', async () => {
    const before = usedBytes();
    const sockets = await sendFromAll(wire, createEventPath, service.secretKey);
    const sentBytes = connectionCount * pieceCount;
    await expect.poll(() => service.app.load().bodyBytes).toBeGreaterThanOrEqual(sentBytes);
    expect(usedBytes() - before).toBeLessThan(memoryBytesMax);
    expect(service.app.load().bodyBytes).toBeLessThanOrEqual(2 * sentBytes);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => service.app.load()).toMatchObject({ calls: 0, bodyBytes: 0 });
  });

  test.each([
    ['to an RPC without a key', checkPath, ''],
    ['with an unknown key', createEventPath, newSecret('restricted')],
    ['to no path of ours', '/nowhere', ''],
  ])('is not kept %s', async (_what, path, key) => {
    const before = usedBytes();
    const sockets = await sendFromAll(wire, path, key);
    await expect
      .poll(() => service.app.load())
      .toMatchObject({ bodyBytes: 0, bodyBytesWithoutKey: 0 });
    expect(usedBytes() - before).toBeLessThan(memoryBytesMax);
    await expect.poll(() => sockets.every((socket) => socket.received().length > 60)).toBe(true);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => service.app.load()).toMatchObject({ calls: 0, callsWithoutKey: 0 });
  });
});

test('a key whose bodies fill all that it may hold leaves room for the bodies of others', () => {
  const admission = createAdmission();
  const callOf = (apiKeyId: string) => {
    const call = beginCall('POST');
    call.apiKeyId = apiKeyId;
    admission.begin(call, () => false);
    admission.admit(call, 'unary');
    return call;
  };
  const batchBytes = 8 * 1024 * 1024;
  const crowd = Array.from({ length: 16 }, () => callOf('key_crowd'));
  for (const call of crowd) admission.hold(call, batchBytes);
  expect(admission.load.bodyBytes).toBe(ampleRoom.bodies / 2);
  expect(() => admission.hold(callOf('key_crowd'), 1)).toThrow(CallsInFlightFull);
  expect(() => admission.hold(callOf('key_other'), batchBytes)).not.toThrow();
  for (const call of crowd) admission.end(call);
  expect(() => admission.hold(callOf('key_crowd'), batchBytes)).not.toThrow();
});

describe('of the bodies of one key that come at once, and of which all do not find room', () => {
  // That of a heap of 256 MB.
  const room = divideMemory(448 * 1024 * 1024);
  const bodyBytes = 7_700_000;
  const piece = Buffer.alloc(256 * 1024);

  /** A body of an admitted call, and what became of it. */
  function receive(admission: Admission, apiKeyId: string, contentLength: number | undefined) {
    const source = new PassThrough();
    const call = beginCall('POST');
    call.apiKeyId = apiKeyId;
    admission.begin(call, () => false);
    admission.admit(call, 'unary');
    const body = new ReceivedBody({
      source,
      call,
      admission,
      bytesMax: batchBytesMax,
      envelopeBytes: 0,
      contentLength,
      onFlood: () => undefined,
    });
    const outcome = Promise.resolve(body.receive()).then(
      ({ byteLength }) => byteLength,
      (error: ConnectError) => reasonOf(error),
    );
    return { source, call, outcome };
  }

  /** Sends all of them side by side, so that none is ahead of another. */
  async function sendSideBySide(sources: readonly PassThrough[]): Promise<void> {
    for (let sent = 0; sent < bodyBytes; sent += piece.length) {
      for (const source of sources) source.write(piece.subarray(0, bodyBytes - sent));
      await immediate();
    }
    for (const source of sources) source.end();
  }

  test.each([
    ['is announced', bodyBytes],
    ['is not announced', undefined],
  ])('whoever was let in first gets through where the length %s', async (_what, contentLength) => {
    const admission = createAdmission(room);
    const bodies = Array.from({ length: 16 }, () => receive(admission, 'key_crowd', contentLength));
    await sendSideBySide(bodies.map(({ source }) => source));
    const outcomes = await Promise.all(bodies.map(({ outcome }) => outcome));
    expect(outcomes[0]).toBe(bodyBytes);
    const taken = outcomes.filter((one) => one === bodyBytes).length;
    expect(outcomes).toEqual([
      ...new Array(taken).fill(bodyBytes),
      ...new Array(16 - taken).fill('OVERLOADED'),
    ]);
    for (const { call } of bodies) admission.end(call);
    expect(admission.load).toMatchObject({ calls: 0, bodyBytes: 0 });
  });

  test('one that sends nothing more keeps none of those behind it out', async () => {
    const admission = createAdmission(room);
    const slow = Array.from({ length: 8 }, () => receive(admission, 'key_crowd', bodyBytes));
    for (const { source } of slow) source.write(piece);
    await immediate();
    const next = receive(admission, 'key_crowd', bodyBytes);
    await sendSideBySide([next.source]);
    expect(await next.outcome).toBe(bodyBytes);
    for (const { source } of slow) source.destroy();
    expect(await Promise.all(slow.map(({ outcome }) => outcome))).not.toContain('OVERLOADED');
  });

  /** Calls of these keys, in turn, each of which holds a byte of a body that is coming, and which of them gave way. */
  function begin(admission: Admission, apiKeyIds: readonly string[]) {
    const refused: Call[] = [];
    const calls = apiKeyIds.map((apiKeyId) => {
      const call = beginCall('POST');
      call.apiKeyId = apiKeyId;
      admission.begin(call, () => false);
      admission.admit(call, 'unary');
      admission.awaitBody(call, () => {
        refused.push(call);
        admission.release(call, call.bodyBytes);
      });
      admission.hold(call, 1);
      return call;
    });
    return { calls: calls as [Call, Call, Call], refused };
  }

  test('those that came last give way, and no more than is needed', () => {
    const admission = createAdmission(room);
    const { calls, refused } = begin(admission, ['key_crowd', 'key_crowd', 'key_crowd']);
    admission.hold(calls[1], room.bodies / 2 - 4);
    admission.hold(calls[0], 4);
    expect(refused).toEqual([calls[2]]);
    admission.hold(calls[0], 2);
    expect(refused).toEqual([calls[2], calls[1]]);
  });

  test('none gives way to another key', () => {
    const admission = createAdmission(room);
    const { calls, refused } = begin(admission, ['key_first', 'key_crowd', 'key_crowd']);
    admission.hold(calls[1], room.bodies / 2 - 3);
    expect(() => admission.hold(calls[0], room.bodies / 2)).toThrow(CallsInFlightFull);
    expect(refused).toEqual([]);
  });

  test('none gives way where that would not be enough', () => {
    const admission = createAdmission(room);
    const { calls, refused } = begin(admission, ['key_crowd', 'key_crowd', 'key_crowd']);
    admission.hold(calls[0], room.bodies / 2 - 3);
    expect(() => admission.hold(calls[1], 3)).toThrow(CallsInFlightFull);
    expect(refused).toEqual([]);
  });
});

describe('among calls without a key', () => {
  const ignore = () => false;

  test('the oldest body gives way to the newest when all together are too large', () => {
    const admission = createAdmission();
    const crowd = Array.from({ length: 4 }, () => beginCall('POST'));
    const refused: unknown[] = [];
    for (const call of crowd) {
      admission.begin(call, () => {
        refused.push(call);
        admission.release(call, call.bodyBytes);
        return true;
      });
      admission.hold(call, ampleRoom.bodiesWithoutKey / 4);
    }
    const late = beginCall('POST');
    admission.begin(late, ignore);
    admission.hold(late, 1);
    expect(refused).toEqual([crowd[0]]);
    expect(admission.load.bodyBytesWithoutKey).toBeLessThanOrEqual(ampleRoom.bodiesWithoutKey);
  });

  test('the oldest ends when there are too many', () => {
    const admission = createAdmission();
    const ended: number[] = [];
    for (let index = 0; index <= callsWithoutKeyMax; index++) {
      admission.begin(beginCall('POST'), () => {
        ended.push(index);
        return false;
      });
    }
    expect(ended).toEqual([0]);
    expect(admission.load.callsWithoutKey).toBe(callsWithoutKeyMax);
  });

  test('a body counts among those with a place once its call is admitted', () => {
    const admission = createAdmission();
    const call = beginCall('POST');
    admission.begin(call, ignore);
    admission.hold(call, 1_000);
    admission.admit(call, 'unary');
    expect(admission.load).toMatchObject({ bodyBytes: 1_000, bodyBytesWithoutKey: 0 });
    admission.end(call);
    expect(admission.load).toMatchObject({ calls: 0, callsWithoutKey: 0, bodyBytes: 0 });
  });
});

/** A valid request of exactly so many bytes: field 1000, which nobody knows, fills it up. */
function requestOf(bytes: number): Uint8Array {
  const message = create(CreateEventRequestSchema, {
    workspaceId: service.workspaceId,
    type: 'exact',
    payload: {},
  });
  const known = toBinary(CreateEventRequestSchema, message);
  const fillerBytes = bytes - known.length - 6;
  const filler = Buffer.alloc(6 + fillerBytes);
  // The tag of field 1000, and a length of four bytes.
  filler.set([0xc2, 0x3e]);
  for (let at = 0; at < 4; at++) {
    filler[2 + at] = ((fillerBytes >> (7 * at)) & 0x7f) | (at < 3 ? 0x80 : 0);
  }
  return Buffer.concat([known, filler]);
}

describe('the limit of a request counts its message', () => {
  const ofGrpcWeb = { 'content-type': 'application/grpc-web+proto' };

  test.each([
    ['at', requestBytesMax, '0', 200],
    ['above', requestBytesMax + 1, '8', 429],
  ])('%s the limit', async (_where, bytes, grpcStatus, connectStatus) => {
    const message = requestOf(bytes);
    expect(message.length).toBe(bytes);
    const envelope = grpcEnvelope(message);
    expect((await sendGrpc(service, createEventPath, [envelope])).status).toBe(grpcStatus);
    const web = await sendRequest(service, createEventPath, { headers: ofGrpcWeb, body: envelope });
    expect(web.headers['grpc-status'] ?? /grpc-status: *(\d+)/.exec(web.text)?.[1]).toBe(
      grpcStatus,
    );
    const connect = await connectPost(service, createEventPath, message);
    expect(connect.status).toBe(connectStatus);
  });
});

describe('what a body inflates to', () => {
  const blankBody = (bytes: number) => {
    const json = JSON.stringify({ workspaceId: service.workspaceId, type: 'blank', payload: {} });
    return gzipSync(json.padEnd(bytes));
  };
  const asGzip = { 'content-type': 'application/json', 'content-encoding': 'gzip' };

  test('is limited as the body itself', async () => {
    const within = await connectPost(service, createEventPath, blankBody(requestBytesMax), asGzip);
    expect(within.status).toBe(200);
    const beyond = blankBody(requestBytesMax + 1);
    const answer = await connectPost(service, createEventPath, beyond, asGzip);
    expect(await refusalIn(answer)).toMatchObject({ reason: 'REQUEST_TOO_LARGE' });
    const check = await connectPost(service, checkPath, gzipSync('{}'.padEnd(5_000)), asGzip);
    expect(check.status).toBe(429);
  });

  test('counts among the bytes of bodies until the call ends', async () => {
    const holder = await service.database.connect();
    await holder.query('begin');
    await holder.query('select from workspaces where id = $1 for update', [service.workspaceId]);
    const answer = connectPost(service, createEventPath, blankBody(1024 * 1024), asGzip);
    await expect.poll(() => service.app.load().bodyBytes).toBeGreaterThanOrEqual(1024 * 1024);
    await holder.end();
    expect((await answer).status).toBe(200);
    await expect.poll(() => service.app.load().bodyBytes).toBe(0);
  });

  test('counts among the bytes of bodies also where a GET carries it in its query', async () => {
    const holder = await service.database.connect();
    await holder.query('begin');
    await holder.query('lock table events');
    const query = new URLSearchParams({
      connect: 'v1',
      encoding: 'json',
      base64: '1',
      compression: 'br',
      message: brotliCompressSync(
        JSON.stringify({ workspaceId: service.workspaceId }).padEnd(1024 * 1024),
      ).toString('base64url'),
    });
    const answer = sendRequest(service, `${listEventsPath}?${query}`);
    await expect.poll(() => service.app.load().bodyBytes).toBeGreaterThanOrEqual(1024 * 1024);
    await holder.end();
    expect((await answer).status).toBe(200);
    await expect.poll(() => service.app.load().bodyBytes).toBe(0);
  });
});
