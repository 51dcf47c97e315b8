import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEventsClient, type Wire } from './support/clients.ts';
import { sendRequest } from './support/http-request.ts';
import { readMetrics } from './support/metrics.ts';
import { subscribeTo } from './support/subscriber.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ metrics: { host: '127.0.0.1', port: 0 } });
});
afterAll(() => service.stop());

const createEvent = 'harbor.events.v1.EventsService/CreateEvent';
const calls = async (labels: Record<string, string>) =>
  (await readMetrics(service)).value('harbor_rpc_calls_total', labels);
const creates = async (outcome: string) =>
  (await readMetrics(service)).value('harbor_creates_total', { outcome });

/** Metrics that are asked for soon after one another are the same text: until it is a newer one. */
const untilRead = (read: () => Promise<unknown>) => expect.poll(read, { interval: 100 });

test.each<[Wire | 'rest', string]>([
  ['grpc', 'grpc'],
  ['grpc-web', 'grpc-web'],
  ['grpc-web http/1.1', 'grpc-web'],
  ['connect json', 'connect'],
  ['connect binary', 'connect'],
  ['rest', 'rest'],
])(
  'a call over %s is counted by its RPC, protocol and code, with its duration',
  async (wire, protocol) => {
    const { workspaceId } = service;
    const at = { method: createEvent, protocol };
    const before = await readMetrics(service);
    const refused = before.value('harbor_rpc_calls_total', { ...at, code: 'invalid_argument' });
    const went = before.value('harbor_rpc_calls_total', { ...at, code: 'ok' });
    const timed = before.value('harbor_rpc_duration_seconds_count', at);
    const create =
      wire === 'rest'
        ? (type: string) =>
            sendRequest(service, '/v1/events', {
              body: { workspace_id: workspaceId, type, payload: {} },
            })
        : (type: string) =>
            createEventsClient(service, wire)
              .createEvent({ workspaceId, type, payload: {} })
              .catch(() => undefined);
    await create('counted');
    await create('counted');
    await create('');
    await untilRead(() => calls({ ...at, code: 'ok' })).toBe(went + 2);
    await untilRead(() => calls({ ...at, code: 'invalid_argument' })).toBe(refused + 1);
    const after = await readMetrics(service);
    const invalid = { reason: 'INVALID_REQUEST' };
    expect(after.value('harbor_rpc_refusals_total', invalid)).toBe(
      before.value('harbor_rpc_refusals_total', invalid) + 1,
    );
    expect(after.value('harbor_rpc_duration_seconds_count', at)).toBe(timed + 3);
  },
);

test('what is no RPC is one label, whatever its path', async () => {
  const none = { method: 'none', protocol: 'rest' };
  const unknown = await calls({ ...none, code: 'not_found' });
  const fine = await calls({ ...none, code: 'ok' });
  for (const path of ['/planted-path-1', '/v1/planted-path-2', '/planted.v1.Service/Path']) {
    await sendRequest(service, path);
  }
  await sendRequest(service, '/healthz');
  await untilRead(() => calls({ ...none, code: 'not_found' })).toBe(unknown + 3);
  expect(await calls({ ...none, code: 'ok' })).toBe(fine + 1);
  expect((await readMetrics(service)).text).not.toContain('planted');
});

test('creates are counted by what became of them, each of a batch by itself', async () => {
  const { workspaceId } = service;
  const before = {
    created: await creates('created'),
    replayed: await creates('replayed'),
    key_reused: await creates('key_reused'),
  };
  const request = { workspaceId, type: 'counted', payload: { of: 1 }, idempotencyKey: 'counted-1' };
  const events = createEventsClient(service);
  await events.createEvent(request);
  await events.batchCreateEvents({
    requests: [
      request,
      { ...request, payload: { of: 2 } },
      { ...request, idempotencyKey: '' },
      { ...request, idempotencyKey: 'counted-2' },
      { ...request, type: '' },
    ],
  });
  await untilRead(() => creates('created')).toBe(before.created + 3);
  await untilRead(() => creates('replayed')).toBe(before.replayed + 1);
  await untilRead(() => creates('key_reused')).toBe(before.key_reused + 1);
  const { value } = await readMetrics(service);
  expect(value('harbor_append_batch_creates_sum')).toBeGreaterThanOrEqual(5);
  expect(value('harbor_append_queue_wait_seconds_count')).toBe(
    value('harbor_append_batch_creates_sum'),
  );
  expect(value('harbor_append_statement_seconds_count', { outcome: 'stored' })).toBe(
    value('harbor_append_batch_creates_count'),
  );
  expect(value('harbor_database_statements_total', { statement: 'harbor_append' })).toBe(
    value('harbor_append_batch_creates_count'),
  );
});

test('no label has anything of a workspace, a type, a key or an id', async () => {
  await service.app.workspaces.create('ws_planted', '');
  const events = createEventsClient(service);
  const { event } = await events.createEvent({
    workspaceId: 'ws_planted',
    type: 'planted.type',
    payload: { planted: 'planted' },
    idempotencyKey: 'planted-key',
    subject: 'planted-subject',
  });
  await events.retrieveEvent({ id: event?.id ?? '' });
  await events.retrieveEvent({ id: 'evt_planted' }).catch(() => undefined);
  await events.listEvents({ workspaceId: 'ws_planted' });
  await untilRead(() =>
    calls({ method: 'harbor.events.v1.EventsService/ListEvents', code: 'ok' }),
  ).toBe(1);
  const { text } = await readMetrics(service);
  expect(text).not.toContain('planted');
  expect(text).not.toMatch(/[a-z]{2,3}_[0-9a-z]{26}/);
});

test('streams are counted while they are open, and as calls when they end', async () => {
  const { workspaceId } = service;
  const method = 'harbor.events.v1.EventsService/SubscribeEvents';
  const open = async () => {
    const { value } = await readMetrics(service);
    return {
      streams: value('harbor_streams_open'),
      readers: value('harbor_stream_readers', { state: 'caught_up' }),
      feeds: value('harbor_feeds'),
    };
  };
  const subscriber = subscribeTo(createEventsClient(service), { workspaceId });
  await subscriber.caughtUp();
  await untilRead(open).toEqual({ streams: 1, readers: 1, feeds: 1 });
  await subscriber.leave();
  await untilRead(open).toEqual({ streams: 0, readers: 0, feeds: 0 });
  expect(await calls({ method, code: 'canceled' })).toBe(1);
  const { value } = await readMetrics(service);
  expect(value('harbor_rpc_duration_seconds_count', { method })).toBe(0);
});

test('a reader that takes nothing is counted as behind, with how many events', async () => {
  const { workspaceId } = service;
  const stalled = await fetch(
    `${service.baseUrl}/v1/events/stream?workspace_id=${workspaceId}&after_sequence=0`,
    { headers: { authorization: `Bearer ${service.secretKey}` } },
  );
  const large = { workspaceId, type: 'large', payload: { text: 'x'.repeat(200_000) } };
  const batches = Array.from({ length: 12 }, () =>
    createEventsClient(service).batchCreateEvents({ requests: Array(10).fill(large) }),
  );
  await Promise.all(batches);
  await untilRead(async () => {
    const { value } = await readMetrics(service);
    return value('harbor_stream_readers', { state: 'behind' });
  }).toBe(1);
  const { value } = await readMetrics(service);
  expect(value('harbor_stream_reader_lag_events')).toBeGreaterThan(10);
  expect(value('harbor_feed_bytes')).toBeGreaterThan(1_000_000);
  await stalled.body?.cancel();
});

test('what the process holds, and its connections to PostgreSQL, are there to read', async () => {
  const { value } = await readMetrics(service);
  expect(value('harbor_ready')).toBe(1);
  expect(value('harbor_database_pool_connections_max')).toBe(12);
  expect(value('harbor_database_pool_connections')).toBeGreaterThan(0);
  expect(value('harbor_database_round_trip_seconds_count')).toBe(
    value('harbor_database_statements_total'),
  );
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
  expect(value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0);
});

test('a service without metrics listens on no port for them', async () => {
  const plain = await startTestService();
  expect(plain.app.metricsAddress).toBeUndefined();
  await plain.stop();
});

test('what rate limits refuse is counted by whose they are and which, items of batches too', async () => {
  const refused = async () =>
    (await readMetrics(service)).value('harbor_rate_limited_total', {
      of: 'api_key',
      limit: 'creates_per_second',
    });
  const before = await refused();
  const rateLimits = { createsPerSecond: 1, burstSeconds: 1 };
  const secretKey = await service.issueKey({ scopes: ['events:write'], rateLimits });
  const item = { workspaceId: service.workspaceId, type: 'limited', payload: {} };
  const client = createEventsClient({ ...service, secretKey });
  const { results } = await client.batchCreateEvents({ requests: new Array(20).fill(item) });
  const errors = results.filter(({ result }) => result.case === 'error').length;
  expect(errors).toBeGreaterThan(0);
  await untilRead(refused).toBe(before + errors);
});
