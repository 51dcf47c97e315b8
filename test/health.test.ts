import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import type { Socket } from 'node:net';
import { Client, type ClientReadableStream, credentials, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/typescript/health/v1/health_pb.ts';
import { createHealth, type Health as Readiness } from '../src/server/health/health.ts';
import { callStream, callUnary, metadataOf, serviceErrorOf } from './support/grpc-js-client.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { startPostgresLink } from './support/postgres-link.ts';
import { createTestDatabase } from './support/test-database.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let client: Client;
const dial = ({ host, port }: TestService) =>
  new Client(`${host}:${port}`, credentials.createInsecure());
beforeAll(async () => {
  service = await startTestService();
  client = dial(service);
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const check = (name: string) =>
  callUnary(client, Health.method.check, { service: name }, metadataOf({}));
const nextStatus = async (watch: ClientReadableStream<HealthCheckResponse>) => {
  const [response] = await once(watch, 'data');
  return response.status;
};

describe('grpc.health.v1 without a key', () => {
  test.each(['', 'harbor.events.v1.EventsService', 'harbor.workspaces.v1.WorkspacesService'])(
    'Check of %j says SERVING',
    async (name) => {
      expect(await check(name)).toMatchObject({ status: ServingStatus.SERVING });
    },
  );

  test('Check of a service that there is not says NOT_FOUND', async () => {
    expect((await serviceErrorOf(check('nobody'))).code).toBe(status.NOT_FOUND);
  });

  test('Watch of a service that there is not says SERVICE_UNKNOWN, and goes on', async () => {
    const watch = callStream(client, Health.method.watch, { service: 'nobody' });
    expect(await nextStatus(watch)).toBe(ServingStatus.SERVICE_UNKNOWN);
    watch.on('error', () => undefined).cancel();
  });

  test('a Watch that its client leaves is over for the service', async () => {
    const watch = callStream(client, Health.method.watch, { service: '' });
    expect(await nextStatus(watch)).toBe(ServingStatus.SERVING);
    watch.on('error', () => undefined).cancel();
    const line = () =>
      service.logLines.findLast(({ path }) => path === '/grpc.health.v1.Health/Watch');
    await expect.poll(line).toBeDefined();
  });
});

test('a Watch says SERVING, then NOT_SERVING when the service stops, and ends', async () => {
  const stopping = await startTestService();
  const watcher = dial(stopping);
  const watch = callStream(watcher, Health.method.watch, { service: '' });
  const seen: ServingStatus[] = [];
  watch.on('data', ({ status: current }) => seen.push(current));
  const ended = new Promise((resolve) => watch.on('status', resolve));
  watch.on('error', () => undefined);
  await expect.poll(() => seen).toEqual([ServingStatus.SERVING]);
  const startedAt = performance.now();
  await stopping.stop();
  expect(await ended).toMatchObject({ code: status.OK });
  expect(seen).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  watcher.close();
});

describe.each(['/healthz', '/readyz'])('%s without a key', (path) => {
  const probe = (method: string) => sendRequest({ ...service, secretKey: '' }, path, { method });

  test('says SERVING', async () => {
    const answer = await probe('GET');
    expect(answer).toMatchObject({ status: 200, text: '{"status":"SERVING"}' });
  });

  test('answers HEAD without a body', async () => {
    expect(await probe('HEAD')).toMatchObject({ status: 200, text: '' });
    const session = connect(service.baseUrl);
    expect(await askOver(session, path, 'HEAD')).toEqual({ status: 200, text: '' });
    session.close();
  });

  test('takes no other method', async () => {
    const answer = await probe('POST');
    expect(problemOf(answer)).toMatchObject({ status: 405 });
    expect(answer.headers.allow).toBe('GET, HEAD');
  });
});

test('while the service stops it lives, and is not ready', async () => {
  const stopping = await startTestService();
  // Open before the stop begins, so that each still answers its next call.
  const [one, other] = [connect(stopping.baseUrl), connect(stopping.baseUrl)];
  const serving = { status: 200, text: '{"status":"SERVING"}' };
  expect([await askOver(one, '/readyz'), await askOver(other, '/healthz')]).toEqual([
    serving,
    serving,
  ]);
  const stopped = stopping.stop();
  expect(await askOver(one, '/readyz')).toEqual({
    status: 503,
    text: '{"status":"NOT_SERVING","reason":"SHUTTING_DOWN"}',
  });
  expect(await askOver(other, '/healthz')).toEqual(serving);
  one.close();
  other.close();
  await stopped;
});

test('a service that PostgreSQL does not answer lives, is not ready, and is again once it answers', async () => {
  const database = await createTestDatabase();
  const sockets: Socket[] = [];
  let silent = false;
  const link = await startPostgresLink(database.url, (near, far) => {
    near.pipe(far);
    far.on('data', (chunk) => near.write(chunk));
    sockets.push(far);
    if (silent) far.pause();
  });
  const starved = await startTestService({}, { ...database, url: link.url });
  const watcher = dial(starved);
  const watch = callStream(watcher, Health.method.watch, { service: '' });
  watch.on('error', () => undefined);
  const seen: ServingStatus[] = [];
  watch.on('data', ({ status: current }) => seen.push(current));
  const ready = () => sendRequest(starved, '/readyz').then(({ status: code }) => code);
  expect(await ready()).toBe(200);

  silent = true;
  for (const socket of sockets) socket.pause();
  await expect.poll(ready, { timeout: 30_000 }).toBe(503);
  expect((await sendRequest(starved, '/readyz')).text).toBe(
    '{"status":"NOT_SERVING","reason":"DATABASE_UNAVAILABLE"}',
  );
  expect(
    await callUnary(watcher, Health.method.check, { service: '' }, metadataOf({})),
  ).toMatchObject({ status: ServingStatus.NOT_SERVING });
  expect((await sendRequest(starved, '/healthz')).status).toBe(200);

  silent = false;
  for (const socket of sockets) socket.resume();
  await expect.poll(ready, { timeout: 30_000 }).toBe(200);
  await expect
    .poll(() => seen)
    .toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING, ServingStatus.SERVING]);
  watch.cancel();
  watcher.close();
  await starved.stop();
  await link.stop();
  await database.drop();
}, 90_000);

describe('readiness', () => {
  let health: Readiness;
  const changes: (string | undefined)[] = [];
  beforeEach(() => {
    vi.useFakeTimers();
    changes.length = 0;
    health = createHealth((reason) => changes.push(reason));
  });
  afterEach(() => void vi.useRealTimers());

  test('begins when the database has answered for the first time, which it does migrated', () => {
    expect(health.notServing).toBe('STARTING');
    health.databaseAnswered();
    expect(health.notServing).toBeUndefined();
  });

  test('outlasts a blip of PostgreSQL, and ends after 10 seconds of silence', () => {
    health.databaseAnswered();
    vi.advanceTimersByTime(9_999);
    health.databaseAnswered();
    vi.advanceTimersByTime(9_999);
    expect(changes).toEqual([undefined]);
    vi.advanceTimersByTime(1);
    expect(health.notServing).toBe('DATABASE_UNAVAILABLE');
    health.databaseAnswered();
    expect(changes).toEqual([undefined, 'DATABASE_UNAVAILABLE', undefined]);
  });

  test('is over for good once the process stops', () => {
    health.databaseAnswered();
    health.stop();
    health.databaseAnswered();
    vi.advanceTimersByTime(60_000);
    expect(changes).toEqual([undefined, 'SHUTTING_DOWN']);
  });
});

/** The answer on a connection of HTTP/2 that is open already. */
async function askOver(session: ClientHttp2Session, path: string, method = 'GET') {
  const request = session.request({ ':path': path, ':method': method });
  const [headers] = await once(request, 'response');
  request.setEncoding('utf8');
  let text = '';
  for await (const chunk of request) text += chunk;
  return { status: headers[':status'], text };
}
