import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  Harbor,
  InvalidRequestError,
  NotFoundError,
  OverloadedError,
} from '../../sdk/src/index.ts';
import { startWebhookService, type WebhookService } from '../support/webhook-service.ts';
import { losingFirstAnswer } from './lost-answers.ts';

let service: WebhookService;
let harbor: Harbor;
beforeAll(async () => {
  service = await startWebhookService();
  harbor = new Harbor({ secretKey: service.secretKey, baseUrl: service.baseUrl, maxRetries: 0 });
});
afterAll(() => service.stop());

let paths = 0;
async function make(settings = {}) {
  const workspaceId = await service.makeWorkspace();
  const path = `/sdk/${paths++}`;
  const url = service.receiver.baseUrl + path;
  const endpoint = await harbor.webhookEndpoints.create({ workspaceId, url, ...settings });
  return { workspaceId, path, url, endpoint };
}

test('an endpoint is created, changed, paused, resumed and deleted', async () => {
  const { endpoint, workspaceId, url } = await make({
    typePatterns: ['invoice.*'],
    headers: { 'X-Tenant': 'one' },
    subject: 'inv_1',
    maxPerSecond: 50,
    ordering: 'subject',
  });
  expect(endpoint).toEqual({
    id: expect.stringMatching(/^whe_[0-9a-z]{26}$/),
    workspaceId,
    url,
    description: '',
    typePatterns: ['invoice.*'],
    subject: 'inv_1',
    headerNames: ['x-tenant'],
    maxInFlight: 10,
    maxPerSecond: 50,
    timeoutMs: 15_000,
    ordering: 'subject',
    status: 'enabled',
    statusChangedAt: expect.any(Date),
    createdAt: expect.any(Date),
    updatedAt: expect.any(Date),
    apiKeyId: expect.stringMatching(/^key_/),
    position: 0,
    lag: 0,
    secret: expect.stringMatching(/^whsec_/),
    replayed: false,
  });
  const { id } = endpoint;
  const changed = await harbor.webhookEndpoints.update(id, {
    description: 'ours',
    subject: null,
    maxPerSecond: null,
    ordering: 'none',
  });
  expect(changed).toMatchObject({
    description: 'ours',
    ordering: 'none',
    typePatterns: ['invoice.*'],
  });
  expect(changed).not.toHaveProperty('subject');
  expect(changed).not.toHaveProperty('maxPerSecond');
  expect((await harbor.webhookEndpoints.pause(id)).status).toBe('paused');
  expect((await harbor.webhookEndpoints.resume(id, { fromNow: true })).status).toBe('enabled');
  expect(await harbor.webhookEndpoints.retrieve(id)).toMatchObject({ id, description: 'ours' });
  await harbor.webhookEndpoints.delete(id);
  const gone = await harbor.webhookEndpoints.retrieve(id).catch((error: unknown) => error);
  expect(gone).toBeInstanceOf(NotFoundError);
  expect(gone).toMatchObject({
    reason: 'WEBHOOK_ENDPOINT_NOT_FOUND',
    metadata: { endpoint_id: id },
  });
});

test('a create with the same request id makes one endpoint', async () => {
  const workspaceId = await service.makeWorkspace();
  const url = `${service.receiver.baseUrl}/once`;
  const create = () => harbor.webhookEndpoints.create({ workspaceId, url }, { requestId: 'once' });
  const first = await create();
  const { secret: _, ...rest } = first;
  expect(await create()).toEqual({ ...rest, replayed: true });
});

test('a create whose answer is lost makes one endpoint, and shows its secret', async () => {
  const workspaceId = await service.makeWorkspace();
  const losing = new Harbor({
    secretKey: service.secretKey,
    baseUrl: service.baseUrl,
    maxRetries: 1,
    fetch: losingFirstAnswer(),
  });
  const url = `${service.receiver.baseUrl}/lost`;
  const { id, secret, replayed } = await losing.webhookEndpoints.create({ workspaceId, url });
  expect(replayed).toBe(false);
  expect(await harbor.webhookEndpoints.revealSecret(id)).toMatchObject([{ secret }]);
  const { items } = await harbor.webhookEndpoints.list({ workspaceId });
  expect(items.map((one) => one.id)).toEqual([id]);
});

test('endpoints are iterated page after page, and awaited one page at a time', async () => {
  const workspaceId = await service.makeWorkspace();
  const url = `${service.receiver.baseUrl}/listed`;
  const made: string[] = [];
  for (let n = 0; n < 5; n++) {
    made.unshift((await harbor.webhookEndpoints.create({ workspaceId, url })).id);
  }
  const seen: string[] = [];
  for await (const { id } of harbor.webhookEndpoints.list({ workspaceId, pageSize: 2 })) {
    seen.push(id);
  }
  expect(seen).toEqual(made);
  const page = await harbor.webhookEndpoints.list({ workspaceId, pageSize: 4 });
  expect(page.items.map(({ id }) => id)).toEqual(made.slice(0, 4));
  const next = await page.nextPage();
  expect(next?.items.map(({ id }) => id)).toEqual(made.slice(4));
  expect(next?.nextPageToken).toBeUndefined();
});

test('secrets are revealed and rotated, and a test event is signed by them', async () => {
  const { endpoint, path } = await make();
  const { id } = endpoint;
  const newer = await harbor.webhookEndpoints.rotateSecret(id, { overlapMs: 60_000 });
  const secrets = await harbor.webhookEndpoints.revealSecret(id);
  expect(secrets).toEqual([
    { secret: newer, createdAt: expect.any(Date) },
    { secret: endpoint.secret, createdAt: expect.any(Date), expiresAt: expect.any(Date) },
  ]);
  const attempt = await harbor.webhookEndpoints.sendTestEvent(id);
  expect(attempt).toEqual({
    number: 1,
    startedAt: expect.any(Date),
    durationMs: expect.any(Number),
    responseStatus: 204,
    responseBody: '',
  });
  const [request] = service.receiver.at(path);
  const headers = request?.headers as Record<string, string>;
  expect(new Webhook(newer).verify(request?.body ?? '', headers)).toMatchObject({
    type: 'harbor.webhook_endpoint.test',
  });
});

test('a busy endpoint is an OverloadedError', async () => {
  const { endpoint, path } = await make({ maxInFlight: 1 });
  const { promise, resolve } = Promise.withResolvers<number>();
  service.receiver.answer = (request) => (request.path === path ? promise : 204);
  const first = harbor.webhookEndpoints.sendTestEvent(endpoint.id);
  await service.receiver.waitFor(path, 1);
  await expect(harbor.webhookEndpoints.sendTestEvent(endpoint.id)).rejects.toThrow(OverloadedError);
  resolve(204);
  await first;
});

test('deliveries are listed, found with their requests, and retried', async () => {
  const { workspaceId, endpoint } = await make();
  service.receiver.answer = () => 500;
  const event = await harbor.events.create({ workspaceId, type: 'invoice.paid', payload: {} });
  const failed = { endpointId: endpoint.id, state: 'failed' } as const;
  await expect.poll(async () => (await harbor.deliveries.list(failed)).items.length).toBe(1);
  service.receiver.answer = () => 204;
  const [delivery] = (await harbor.deliveries.list({ ...failed, eventId: event.id })).items;
  expect(delivery).toEqual({
    id: expect.stringMatching(/^dlv_/),
    endpointId: endpoint.id,
    workspaceId,
    eventId: event.id,
    sequence: 1,
    state: 'failed',
    attempts: 3,
    lastAttemptAt: expect.any(Date),
  });
  const id = delivery?.id ?? '';
  const found = await harbor.deliveries.retrieve(id);
  expect(found).toMatchObject({
    ...delivery,
    requests: [{ number: 1 }, { number: 2 }, { number: 3 }],
  });
  expect((await harbor.deliveries.retry(id)).id).toBe(id);
  await expect.poll(async () => (await harbor.deliveries.retrieve(id)).state).toBe('succeeded');
});

test('a replay is counted, created, followed and listed', async () => {
  const { workspaceId, endpoint, path } = await make();
  for (const type of ['a', 'b', 'a']) {
    await harbor.events.create({ workspaceId, type, payload: {} });
  }
  await service.receiver.waitFor(path, 3);
  const wanted = { endpointId: endpoint.id, typePatterns: ['a'], afterSequence: 0 };
  expect(await harbor.replays.count(wanted)).toEqual({ matching: 2, isAtLeast: false });
  const replay = await harbor.replays.create(wanted, { requestId: 'again' });
  expect((await harbor.replays.create(wanted, { requestId: 'again' })).id).toBe(replay.id);
  await expect.poll(async () => (await harbor.replays.retrieve(replay.id)).state).toBe('done');
  expect(await harbor.replays.retrieve(replay.id)).toEqual({
    id: replay.id,
    endpointId: endpoint.id,
    workspaceId,
    firstSequence: 1,
    lastSequence: 3,
    typePatterns: ['a'],
    onlyFailed: false,
    state: 'done',
    position: 3,
    succeeded: 2,
    failed: 0,
    unfinished: 0,
    createdAt: expect.any(Date),
    endedAt: expect.any(Date),
    apiKeyId: expect.any(String),
  });
  const failed = await harbor.deliveries.retryFailed({ endpointId: endpoint.id });
  expect(failed.onlyFailed).toBe(true);
  await expect.poll(async () => (await harbor.replays.retrieve(failed.id)).state).toBe('done');
  const listed = await harbor.replays.list({ endpointId: endpoint.id });
  expect(listed.items.map(({ id }) => id)).toEqual([failed.id, replay.id]);
  await expect(harbor.replays.pause(replay.id)).rejects.toMatchObject({ reason: 'REPLAY_ENDED' });
});

test('a test event is waited for 45 s, also where timeoutMs is undefined', async () => {
  const { endpoint } = await make();
  const timeouts: (string | null)[] = [];
  const watched = new Harbor({
    ...{ secretKey: service.secretKey, baseUrl: service.baseUrl },
    fetch: (input, init) => {
      timeouts.push(new Headers(init?.headers).get('connect-timeout-ms'));
      return fetch(input, init);
    },
  });
  for (const options of [{}, { timeoutMs: undefined }, { timeoutMs: 20_000 }]) {
    await watched.webhookEndpoints.sendTestEvent(endpoint.id, options);
  }
  expect(timeouts).toEqual(['45000', '45000', '20000']);
});

test('what could not be meant is refused before it is sent, by its field', async () => {
  const { workspaceId, endpoint, url } = await make();
  const { webhookEndpoints, deliveries, replays } = harbor;
  const wrong: [string, () => Promise<unknown>][] = [
    ['url', async () => webhookEndpoints.create({ workspaceId } as never)],
    [
      'ordering',
      async () => webhookEndpoints.create({ workspaceId, url, ordering: 'any' as never }),
    ],
    [
      'headers',
      async () => webhookEndpoints.create({ workspaceId, url, headers: new Map() as never }),
    ],
    [
      'startAfterTime',
      async () =>
        webhookEndpoints.create({
          workspaceId,
          url,
          startAfterSequence: 0,
          startAfterTime: new Date(),
        }),
    ],
    [
      'startAfterSequence',
      async () => webhookEndpoints.create({ workspaceId, url, startAfterSequence: null as never }),
    ],
    ['requestId', async () => webhookEndpoints.create({ workspaceId, url }, { requestId: '' })],
    ['overlapMs', async () => webhookEndpoints.rotateSecret(endpoint.id, { overlapMs: -1 })],
    ['state', async () => deliveries.list({ endpointId: endpoint.id, state: 'lost' as never })],
    ['endpointId', async () => replays.create({} as never)],
  ];
  for (const [field, call] of wrong) {
    const error = await call().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidRequestError);
    expect((error as InvalidRequestError).violations).toMatchObject([{ field }]);
  }
});
