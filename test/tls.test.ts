import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EventsService } from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { endStream, frame, frameTypes, opening } from './support/http2-frames.ts';
import { exchangeRaw, wrapSocket } from './support/raw-socket.ts';
import { startTestService, type TestService } from './support/test-service.ts';

/** Self-signed for localhost and 127.0.0.1, valid from 2020 to 2120. */
const read = (name: string) => readFileSync(join(import.meta.dirname, 'support/tls', name), 'utf8');
const cert = read('cert.pem');
const tls = { cert, key: read('key.pem') };

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ tls });
});
afterAll(() => service.stop());

const authorized = () => ({ authorization: `Bearer ${service.secretKey}` });
const newEvent = () => ({ workspaceId: service.workspaceId, type: 'secured', payload: { n: 1 } });

async function dial(alpn: string[], maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
  const { host, port } = service;
  const socket = connect({ host, port, ca: cert, ALPNProtocols: alpn, maxVersion });
  await once(socket, 'secureConnect');
  return socket;
}

test.each([
  ['h2', ['h2', 'http/1.1']],
  ['http/1.1', ['http/1.1']],
])('ALPN settles on %s', async (protocol, offered) => {
  const socket = await dial(offered);
  expect(socket.alpnProtocol).toBe(protocol);
  socket.destroy();
});

test('gRPC works over TLS', async () => {
  const transport = createGrpcTransport({ baseUrl: service.baseUrl, nodeOptions: { ca: cert } });
  const events = createClient(EventsService, transport);
  const { event } = await events.createEvent(newEvent(), { headers: authorized() });
  expect(event?.payload).toEqual({ n: 1 });
});

test('Connect works over TLS with HTTP/1.1', async () => {
  const transport = createConnectTransport({
    baseUrl: service.baseUrl,
    httpVersion: '1.1',
    nodeOptions: { ca: cert },
  });
  const events = createClient(EventsService, transport);
  const { event } = await events.createEvent(newEvent(), { headers: authorized() });
  expect(event?.payload).toEqual({ n: 1 });
});

test('REST works over TLS', async () => {
  const outgoing = request({
    host: service.host,
    port: service.port,
    ca: cert,
    agent: false,
    path: '/healthz',
  }).end();
  const [response] = await once(outgoing, 'response');
  expect(response.statusCode).toBe(200);
  response.resume();
});

test.each([
  ['HTTP/1.1', [], 'GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n', /SERVING/],
  ['HTTP/2', ['h2'], Buffer.concat([opening, frame(6, 0, 0, Buffer.from('a ping !'))]), /a ping !/],
] as const)(
  '%s is told by its first bytes, whatever ALPN said',
  async (_what, alpn, bytes, answer) => {
    const socket = wrapSocket(await dial([...alpn], 'TLSv1.2'));
    socket.write(bytes);
    expect(await socket.until(answer)).toMatch(answer);
    socket.destroy();
  },
);

test.each([
  ['plain HTTP/1.1', Buffer.from('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n')],
  ['plain HTTP/2', Buffer.concat([opening, frame(frameTypes.data, endStream, 1)])],
  ['garbage', Buffer.alloc(64, 0xff)],
])('%s on a port of TLS ends the connection, and nothing else', async (_what, bytes) => {
  expect(await exchangeRaw(service, bytes)).not.toMatch(/^HTTP\/1\.1 2/);
  const socket = await dial(['http/1.1']);
  expect(socket.authorized).toBe(true);
  socket.destroy();
});

test('a service with an open connection of HTTP/2 over TLS stops', async () => {
  const stopping = await startTestService({ tls }, service.database);
  const session = connectHttp2(stopping.baseUrl, { ca: cert });
  const call = session.request({ ':path': '/healthz' });
  await once(call.resume(), 'end');
  const closed = once(session, 'close');
  await stopping.stop();
  await closed;
});

test('a version of TLS before 1.2 is refused', async () => {
  const { host, port } = service;
  const socket = connect({
    host,
    port,
    ca: cert,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    // Without it, the client's own OpenSSL refuses before it asks.
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  await expect(once(socket, 'secureConnect')).rejects.toThrow(/alert protocol version/);
});
