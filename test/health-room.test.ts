import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/typescript/health/v1/health_pb.ts';
import { createEventsClient, createTransport } from './support/clients.ts';
import { createEventPath } from './support/connect-post.ts';
import { refusalOf } from './support/errors.ts';
import { sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
const sessions: ClientHttp2Session[] = [];
beforeAll(async () => {
  service = await startTestService();
});
afterAll(async () => {
  for (const session of sessions) session.destroy();
  await service.stop();
});

const health = () => createClient(Health, createTransport('grpc', service.baseUrl));
const events = () => createEventsClient(service);
const checkPath = `/${Health.typeName}/${Health.method.check.name}`;

/** The one message of a call, in its envelope. */
const emptyMessage = Buffer.alloc(5);

function openSession(): ClientHttp2Session {
  const session = connect(service.baseUrl);
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
}

/** Calls of gRPC that have sent their headers and nothing more, 120 a connection. */
function beginCalls(path: string, count: number, headers = {}): ClientHttp2Stream[] {
  let session = openSession();
  return Array.from({ length: count }, (_, index) => {
    if (index > 0 && index % 120 === 0) session = openSession();
    const call = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      ...headers,
    });
    call.on('error', () => undefined);
    return call;
  });
}

/** Counts the calls that the service has refused so far, by `grpc-status`. */
function countRefused(calls: ClientHttp2Stream[], status: string): () => number {
  let refused = 0;
  for (const call of calls) {
    const count = (headers: object) => {
      if ((headers as Record<string, unknown>)['grpc-status'] === status) refused++;
    };
    call.on('response', count);
    call.on('trailers', count);
    call.resume();
  }
  return () => refused;
}

const ask = async () => (await health().check({ service: '' })).status;

test('100 streams without a key are taken on, the next is refused, and a subscriber gets in', async () => {
  const leave = new AbortController();
  const client = health();
  const watches = Array.from({ length: 100 }, () =>
    client.watch({ service: '' }, { signal: leave.signal })[Symbol.asyncIterator](),
  );
  const first = await Promise.all(watches.map((watch) => watch.next()));
  expect(new Set(first.map(({ value }) => value?.status))).toEqual(
    new Set([ServingStatus.SERVING]),
  );
  const oneMore = health().watch({ service: '' })[Symbol.asyncIterator]();
  expect(await refusalOf(oneMore.next())).toMatchObject({
    code: 'ResourceExhausted',
    reason: 'OVERLOADED',
    retryable: true,
  });

  const subscription = events()
    .subscribeEvents({ workspaceId: service.workspaceId }, { signal: leave.signal })
    [Symbol.asyncIterator]();
  expect((await subscription.next()).value?.message.case).toBe('caughtUp');

  const ended = watches.map((watch) => refusalOf(watch.next()));
  leave.abort();
  await Promise.all(ended);
  // A place is free again once its stream is over.
  const again = async () => {
    const retry = health().watch({ service: '' })[Symbol.asyncIterator]();
    return (await retry.next().catch(() => undefined))?.value?.status;
  };
  await expect.poll(again).toBe(ServingStatus.SERVING);
});

test('the health is told while calls fill every place that their key may have', async () => {
  const authorization = `Bearer ${service.secretKey}`;
  const calls = beginCalls(createEventPath, 2_000, { authorization });
  const create = () =>
    refusalOf(events().createEvent({ workspaceId: service.workspaceId, type: 'x', payload: {} }));
  await expect
    .poll(() =>
      create().then(
        ({ reason }) => reason,
        () => '',
      ),
    )
    .toBe('OVERLOADED');

  expect(await ask()).toBe(ServingStatus.SERVING);
  const anonymous = { ...service, secretKey: '' };
  expect((await sendRequest(anonymous, '/healthz')).status).toBe(200);
  for (const call of calls) call.close();
});

test('1,000 Checks that never send their request keep no other Check out', async () => {
  const unfinished = beginCalls(checkPath, 1_100);
  const refused = countRefused(unfinished, '8');
  await expect.poll(refused).toBe(100);
  expect(await ask()).toBe(ServingStatus.SERVING);
  // It has taken the place of the oldest, for as long as it lasted.
  await expect.poll(refused).toBe(101);
  for (const call of unfinished.slice(200, 300)) call.end(emptyMessage);
  expect(await ask()).toBe(ServingStatus.SERVING);
  expect(refused()).toBe(101);
});
