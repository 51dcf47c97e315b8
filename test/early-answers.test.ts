import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { Client, credentials, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EventsService } from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { Health } from '../gen/typescript/health/v1/health_pb.ts';
import { createEventPath } from './support/connect-post.ts';
import { callUnary, metadataOf, serviceErrorOf } from './support/grpc-js-client.ts';
import { subscribePath } from './support/raw-call.ts';
import { openRawSocket } from './support/raw-socket.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

// Whatever was sent, nothing of it is held on.
afterEach(async () => {
  await expect.poll(() => service.app.load()).toMatchObject({ calls: 0, answerBytes: 0 });
});

const { createEvent } = EventsService.method;
const newEvent = (text: string) => ({
  workspaceId: service.workspaceId,
  type: 'early',
  payload: { text },
});

test('grpc-js is answered 200 requests above the limit on one connection, and then a good one', async () => {
  const client = new Client(`${service.host}:${service.port}`, credentials.createInsecure());
  const metadata = metadataOf({ authorization: `Bearer ${service.secretKey}` });
  const tooLarge = { service: 'x'.repeat(1_200_000) };
  for (let round = 0; round < 20; round++) {
    const calls = Array.from({ length: 10 }, () =>
      serviceErrorOf(callUnary(client, Health.method.check, tooLarge, metadata)),
    );
    const codes = (await Promise.all(calls)).map(({ code }) => code);
    expect(codes).toEqual(new Array(10).fill(status.RESOURCE_EXHAUSTED));
  }
  const { event } = await callUnary(client, createEvent, newEvent('good'), metadata);
  expect(event?.payload).toEqual({ text: 'good' });
  client.close();
}, 60_000);

const piece = Buffer.alloc(16 * 1024);
const refusals = {
  'too large': { fields: {}, status: 200, pieces: 130 },
  'without a key': { fields: { authorization: '' }, status: 200, pieces: 1 },
  'to no path of ours': { fields: { ':path': '/nowhere' }, status: 404, pieces: 1 },
  'of a method that is not allowed': { fields: { ':method': 'PUT' }, status: 405, pieces: 1 },
  'of an unknown content type': { fields: { 'content-type': 'text/csv' }, status: 415, pieces: 1 },
  'too large for REST': {
    fields: { ':path': '/v1/events', 'content-type': 'application/json' },
    status: 413,
    pieces: 130,
  },
};
type Refused = (typeof refusals)[keyof typeof refusals];

const senders = {
  'stops in the middle': () => undefined,
  'goes on sending': (call: ClientHttp2Stream) => {
    const send = () => {
      if (call.writable) call.write(piece, send);
    };
    send();
  },
};

function request(session: ClientHttp2Session, { fields, pieces }: Refused): ClientHttp2Stream {
  const call = session.request({
    ':method': 'POST',
    ':path': createEventPath,
    'content-type': 'application/grpc+proto',
    authorization: `Bearer ${service.secretKey}`,
    ...fields,
  });
  call.on('error', () => undefined).resume();
  // Announces more than comes.
  call.write(Buffer.from([0, 0, 0x1f, 0xff, 0xff]));
  for (let sent = 0; sent < pieces; sent++) call.write(piece);
  return call;
}

describe.each(Object.entries(senders))('a client of HTTP/2 that %s', (_which, goOn) => {
  test.each(Object.entries(refusals))(
    'is answered 300 requests %s on one connection, and then a good one',
    async (_what, refused) => {
      // Node lets its own clients have 10 MB under way, unless they ask for more.
      const session = connect(service.baseUrl, { maxSessionMemory: 1_000 });
      session.on('error', () => undefined);
      for (let round = 0; round < 10; round++) {
        const calls = Array.from({ length: 30 }, async () => {
          const call = request(session, refused);
          const closed = once(call, 'close');
          goOn(call);
          const [headers] = await once(call, 'response');
          await closed;
          return headers[':status'];
        });
        expect(new Set(await Promise.all(calls))).toEqual(new Set([refused.status]));
      }
      const good = session.request({ ':path': '/healthz' });
      const [headers] = await once(good.resume(), 'response');
      expect(headers[':status']).toBe(200);
      session.destroy();
    },
    60_000,
  );
});

describe('a client of HTTP/1.1 in the middle of a large body may finish it and then read why it was refused', () => {
  test.each([
    ['to REST', '/v1/events', 'application/json', 413],
    ['of a stream', subscribePath, 'application/connect+json', 200],
    ['of a compressed stream', subscribePath, 'application/connect+json', 200, 'gzip'],
  ])('a request %s', async (_what, path, type, code, encoding = 'identity') => {
    const socket = await openRawSocket(service);
    const bytes = 6 * 1024 * 1024;
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${service.secretKey}\r\n` +
        `Connect-Content-Encoding: ${encoding}\r\n` +
        `Content-Type: ${type}\r\nContent-Length: ${bytes}\r\n\r\n`,
    );
    await socket.until(new RegExp(`^HTTP/1\\.1 ${code} `));
    for (let sent = 0; sent < bytes; sent += piece.length) {
      await new Promise<void>((resolve, reject) => {
        socket.socket.write(piece, (error) => (error ? reject(error) : resolve()));
      });
    }
    expect(await socket.ended()).toMatch(/connection: close[\s\S]*REQUEST_TOO_LARGE/i);
  });
});

test('a client of HTTP/1.1 that sends without end is cut off', async () => {
  const socket = await openRawSocket(service);
  socket.write('POST /nowhere HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunk = Buffer.concat([Buffer.from('4000\r\n'), piece, Buffer.from('\r\n')]);
  while (socket.socket.writable) await new Promise((sent) => socket.socket.write(chunk, sent));
  expect(await socket.ended()).toMatch(/^HTTP\/1\.1 404 /);
});
