import { type Client, Code } from '@connectrpc/connect';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/typescript/google/rpc/error_details_pb.ts';
import type { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { hashSecret as hashOf } from '../../src/api-keys/index.ts';
import { createEventsClient, wires } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { problemOf, sendRequest } from '../support/http-request.ts';
import { openRawSocket } from '../support/raw-socket.ts';
import { subscribeTo } from '../support/subscriber.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

/** A workspace for each test. */
let workspaceId: string;
let count = 0;
beforeEach(async () => {
  workspaceId = `ws_limits${count++}`;
  await service.app.workspaces.create(workspaceId, '');
});

const scopes = ['events:read', 'events:write'];
const issue = (rateLimits?: Parameters<TestService['issueKey']>[0]['rateLimits']) =>
  service.issueKey({ scopes, rateLimits });
const clientOf = (secretKey: string, wire: (typeof wires)[number] = 'grpc') =>
  createEventsClient({ ...service, secretKey }, wire);

const small = () => ({ workspaceId, type: 'counted', payload: {} });
/** Takes minutes to come in again at the smallest limit of bytes: what comes after it is refused for sure. */
const large = () => ({ workspaceId, type: 'counted', payload: { text: 'x'.repeat(250_000) } });
const fewBytes = { createBytesPerSecond: 1_024, burstSeconds: 1 };

const batch = async (client: Client<typeof EventsService>, items: readonly object[]) => {
  const { results } = await client.batchCreateEvents({
    requests: items.map((item) => ({ ...small(), ...item })),
  });
  return results.map(({ result }) => (result.case === 'error' ? result.value : result));
};
const reasonOf = (result: object | undefined) =>
  result !== undefined && 'reason' in result ? result.reason : 'created';

async function countEvents(): Promise<number> {
  const workspace = await service.app.workspaces.find(workspaceId);
  return workspace?.lastSequence ?? -1;
}

describe('a key that has used up its bytes', () => {
  let secret: string;
  beforeEach(async () => {
    secret = await issue(fewBytes);
    await clientOf(secret).createEvent(large());
  });

  test.each(wires)('is refused over %s with the limit and the wait', async (wire) => {
    const error = await clientOf(secret, wire)
      .createEvent(small())
      .catch((thrown) => thrown);
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.findDetails(ErrorInfoSchema)[0]).toMatchObject({
      reason: 'RATE_LIMITED',
      metadata: { limit: 'create_bytes_per_second', of: 'api_key' },
    });
    const seconds = Number(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds);
    expect(seconds).toBeGreaterThan(60);
    expect(seconds).toBeLessThanOrEqual(250);
    expect(await countEvents()).toBe(1);
  });

  test('is refused before its body is read, and what it then sends is not waited for', async () => {
    const socket = await openRawSocket(service);
    socket.write(
      `POST /v1/events HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n` +
        `Authorization: Bearer ${secret}\r\nContent-Length: 1000000\r\n\r\n`,
    );
    expect(await socket.until(/RATE_LIMITED/)).toMatch(/^HTTP\/1\.1 429 /);
    await socket.ended();
  });

  test('is refused a batch as a whole, of which no item would pass', async () => {
    const { reason, retryable } = await refusalOf(batch(clientOf(secret), [{}, {}]));
    expect([reason, retryable]).toEqual(['RATE_LIMITED', true]);
  });

  test('still reads, and other keys go on in the same workspace', async () => {
    const { events } = await clientOf(secret).listEvents({ workspaceId });
    expect(events).toHaveLength(1);
    await clientOf(await issue(fewBytes)).createEvent(small());
    expect(await countEvents()).toBe(2);
  });

  test('is the same key with each of its secrets', async () => {
    const { apiKeyId = '' } = (await service.app.apiKeys.findCaller(hashOf(secret))) ?? {};
    const rotated = await service.app.apiKeys.rotate(apiKeyId, 60_000);
    const { reason } = await refusalOf(clientOf(rotated.secret).createEvent(small()));
    expect(reason).toBe('RATE_LIMITED');
  });

  test('goes on within 5 seconds after its limits were taken off, in every process', async () => {
    const other = await startTestService({}, service.database);
    const elsewhere = createEventsClient({ ...other, secretKey: secret });
    await elsewhere.createEvent(large());
    const { apiKeyId = '' } = (await service.app.apiKeys.findCaller(hashOf(secret))) ?? {};
    await service.app.apiKeys.update(apiKeyId, { rateLimits: { createBytesPerSecond: 0 } });
    for (const client of [clientOf(secret), elsewhere]) {
      await expect
        .poll(() => client.createEvent(small()).then(() => 'created', String), { timeout: 10_000 })
        .toBe('created');
    }
    await other.stop();
  });
});

describe('creates over a limit', () => {
  const few = { createsPerSecond: 1, burstSeconds: 5 };

  test('are refused item by item in a batch that is larger than the burst, with a wait for each', async () => {
    const results = await batch(clientOf(await issue(few)), new Array(20).fill({}));
    const reasons = results.map(reasonOf);
    const created = reasons.indexOf('RATE_LIMITED');
    expect(created).toBeGreaterThanOrEqual(5);
    expect(reasons).toEqual(
      reasons.map((_, index) => (index < created ? 'created' : 'RATE_LIMITED')),
    );
    expect(await countEvents()).toBe(created);
    const waits = results.slice(created).map((result) => {
      if (!('retryDelay' in result)) throw new Error('a refused item without a wait');
      return Number(result.retryDelay?.seconds) + Number(result.retryDelay?.nanos) / 1e9;
    });
    // The first waits for one to come in, the last for as many as there can be.
    expect(waits[0]).toBeLessThanOrEqual(1);
    expect(waits.at(-1)).toBeGreaterThan(4);
    expect(waits.at(-1)).toBeLessThanOrEqual(5);
  });

  test('are counted whether they are new, replays, or reuses of a key', async () => {
    const client = clientOf(await issue(few));
    const items = [{}, {}, { payload: { other: true } }, {}, {}, ...new Array(15).fill({})];
    const results = await batch(
      client,
      items.map((item) => ({ idempotencyKey: 'same', ...item })),
    );
    expect(results.slice(0, 5).map(reasonOf)).toEqual([
      'created',
      'created',
      'IDEMPOTENCY_KEY_REUSED',
      'created',
      'created',
    ]);
    expect(reasonOf(results.at(-1))).toBe('RATE_LIMITED');
    expect(await countEvents()).toBe(1);
  });

  test('leave nothing behind: the same idempotency key creates later', async () => {
    const items = Array.from({ length: 20 }, (_, index) => ({ idempotencyKey: `key-${index}` }));
    const results = await batch(clientOf(await issue(few)), items);
    expect(reasonOf(results.at(-1))).toBe('RATE_LIMITED');
    const unlimited = clientOf(await issue());
    const again = await unlimited.createEvent({ ...small(), idempotencyKey: 'key-19' });
    expect(again.replayed).toBe(false);
  });
});

describe('a limit of a workspace', () => {
  const limit = (rateLimits: object) => service.app.workspaces.update(workspaceId, { rateLimits });

  test('is shared by all keys, and says that it is the workspace', async () => {
    await limit(fewBytes);
    await clientOf(await issue()).createEvent(large());
    const other = clientOf(await issue());
    const refusal = await refusalOf(other.createEvent(small()));
    expect(refusal).toMatchObject({
      reason: 'RATE_LIMITED',
      retryable: true,
      metadata: { limit: 'create_bytes_per_second', of: 'workspace' },
    });
    await other.createEvent({ ...small(), workspaceId: service.workspaceId });
  });

  test('is told over REST without what is left of it, which others have taken', async () => {
    await limit({ createsPerSecond: 100, burstSeconds: 2 });
    const { status, headers } = await sendRequest(service, '/v1/events', { body: rest() });
    expect(status).toBe(201);
    expect(headers['ratelimit-policy']).toBe('"workspace-creates";q=200;w=2');
    expect(headers).not.toHaveProperty('ratelimit');
  });

  test('holds for streams of all keys, until one ends', async () => {
    await limit({ streams: 1 });
    const first = subscribeTo(clientOf(await issue()), { workspaceId });
    await first.caughtUp();
    const other = clientOf(await issue());
    expect((await subscribeTo(other, { workspaceId }).ended).metadata).toEqual({
      limit: 'streams',
      of: 'workspace',
    });
    await first.leave();
    await untilOpened(other);
  });
});

const rest = () => ({ workspace_id: workspaceId, type: 'counted', payload: {} });
const asKey = (secret: string) => ({ authorization: `Bearer ${secret}` });

async function untilOpened(client: Client<typeof EventsService>): Promise<void> {
  await expect
    .poll(async () => {
      const stream = subscribeTo(client, { workspaceId });
      const opened = await Promise.race([
        stream.caughtUp().then(() => 'opened'),
        stream.ended.then(({ reason }) => reason),
      ]);
      await stream.leave();
      return opened;
    })
    .toBe('opened');
}

describe('streams of a key', () => {
  test.each(wires)('are bounded over %s, and one that ends makes room', async (wire) => {
    const client = clientOf(await issue({ streams: 2 }), wire);
    const open = [subscribeTo(client, { workspaceId }), subscribeTo(client, { workspaceId })];
    await Promise.all(open.map((stream) => stream.caughtUp()));
    const refusal = await subscribeTo(client, { workspaceId }).ended;
    expect(refusal).toMatchObject({
      code: 'ResourceExhausted',
      reason: 'RATE_LIMITED',
      retryable: true,
      metadata: { limit: 'streams', of: 'api_key' },
    });
    await open[0]?.leave();
    await untilOpened(client);
    await open[1]?.leave();
  });

  test('that were refused or could not be opened hold no place', async () => {
    const client = clientOf(await issue({ streams: 1 }));
    for (let attempt = 0; attempt < 3; attempt++) {
      const ended = await subscribeTo(client, { workspaceId, afterSequence: 1_000n }).ended;
      expect(ended.reason).toBe('SEQUENCE_IN_FUTURE');
    }
    await untilOpened(client);
  });

  test('are refused over REST with the limit, the wait, and 429', async () => {
    const secret = await issue({ streams: 1 });
    const stream = subscribeTo(clientOf(secret), { workspaceId });
    await stream.caughtUp();
    const path = `/v1/events/stream?workspace_id=${workspaceId}`;
    const answer = await sendRequest(service, path, { headers: asKey(secret) });
    expect(problemOf(answer)).toMatchObject({ status: 429, reason: 'RATE_LIMITED' });
    expect(answer.headers).toMatchObject({
      'retry-after': '5',
      'ratelimit-policy': '"key-streams";q=1;qu="concurrent-requests"',
      ratelimit: '"key-streams";r=0',
    });
    await stream.leave();
  });
});

describe('over REST', () => {
  test('a create says what is left of the limits of its key, and one without limits nothing', async () => {
    const limits = { createsPerSecond: 1, createBytesPerSecond: 2_000, burstSeconds: 50 };
    const headers = asKey(await issue(limits));
    const created = await sendRequest(service, '/v1/events', { headers, body: rest() });
    expect(created.status).toBe(201);
    expect(created.headers['ratelimit-policy']).toBe(
      '"key-creates";q=50;w=50, "key-create-bytes";q=100000;qu="content-bytes";w=50',
    );
    expect(created.headers.ratelimit).toMatch(
      /^"key-creates";r=(49;t=1|50;t=0), "key-create-bytes";r=\d+;t=[01]$/,
    );
    const without = await sendRequest(service, '/v1/events', { body: rest() });
    expect(Object.keys(without.headers).filter((name) => /rate|retry/.test(name))).toEqual([]);
  });

  test('one that is refused has 429, and says when to come again', async () => {
    const headers = asKey(await issue(fewBytes));
    await sendRequest(service, '/v1/events', {
      headers,
      body: { ...rest(), payload: { text: 'x'.repeat(250_000) } },
    });
    const answer = await sendRequest(service, '/v1/events', { headers, body: rest() });
    expect(problemOf(answer)).toMatchObject({
      status: 429,
      code: 'resource_exhausted',
      reason: 'RATE_LIMITED',
      metadata: { limit: 'create_bytes_per_second', of: 'api_key' },
    });
    const seconds = answer.headers['retry-after'];
    expect(Number(seconds)).toBeGreaterThan(60);
    const [, reset] = /^"key-create-bytes";r=0;t=(\d+)$/.exec(`${answer.headers.ratelimit}`) ?? [];
    // The one is of the refusal, the other of the answer, a moment later.
    expect([Number(reset), Number(reset) + 1]).toContain(Number(seconds));
    expect(answer.headers['ratelimit-policy']).toBe(
      '"key-create-bytes";q=1024;qu="content-bytes";w=1',
    );
  });
});

test('a flood on a limited key is refused whole, and another one in its workspace notices nothing', async () => {
  const secret = await issue(fewBytes);
  await clientOf(secret).createEvent(large());
  const other = clientOf(await issue());
  const flooding = clientOf(secret, 'connect json');
  const flood = Array.from({ length: 500 }, () => refusalOf(flooding.createEvent(small())));
  const created = await Promise.all(Array.from({ length: 50 }, () => other.createEvent(small())));
  const reasons = (await Promise.all(flood)).map(({ reason }) => reason);
  expect(new Set(reasons)).toEqual(new Set(['RATE_LIMITED']));
  expect(created).toHaveLength(50);
  expect(await countEvents()).toBe(51);
});
