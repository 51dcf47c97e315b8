import { afterEach, expect, test } from 'vitest';
import { idOf } from '../../src/type-id.ts';
import { createEventsClient } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { type LoadReport, startLoad } from '../support/load.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { startTestService, type TestService, testWorkspaceId } from '../support/test-service.ts';

let postgres: OwnPostgres | undefined;
let service: TestService | undefined;

afterEach(async () => {
  await service?.app.stop();
  await postgres?.remove();
  service = undefined;
  postgres = undefined;
});

async function startOn(own: OwnPostgres): Promise<TestService> {
  const database = { ...(await createTestDatabase()), url: own.url, name: 'harbor' };
  service = await startTestService({ allowUnsafeDurability: true }, database);
  return service;
}

/** Compares what was acknowledged, key and id, with what is stored. */
async function compare(own: OwnPostgres, { acknowledged }: LoadReport) {
  const stored = await own.query<{ id: string; key: string }>(`
    select id, payload->>'key' as key from events where type = 'load.tested'`);
  const rowsByKey = Map.groupBy(stored, ({ key }) => key);
  const isStored = (key: string, id: string) =>
    rowsByKey.get(key)?.some((row) => idOf('evt', row.id) === id) === true;
  return {
    acknowledged: acknowledged.size,
    lost: [...acknowledged].filter(([key, id]) => !isStored(key, id)),
    duplicated: [...rowsByKey.values()].filter((rows) => rows.length > 1),
  };
}

async function loadThroughKill(own: OwnPostgres): Promise<LoadReport> {
  const { baseUrl, secretKey } = await startOn(own);
  const client = createEventsClient({ baseUrl, secretKey });
  const load = startLoad({
    client: () => client,
    workspaceId: testWorkspaceId,
    writers: 32,
    retry: true,
  });
  await load.reached(3_000);
  await own.kill();
  const before = load.report.acknowledged.size;
  await own.start();
  await load.reached(before + 1_000);
  return load.stop();
}

test('PostgreSQL killed under load: nothing acknowledged is lost, nothing is stored twice, and creates go on without a restart', async () => {
  postgres = await startOwnPostgres();
  const report = await loadThroughKill(postgres);
  const compared = await compare(postgres, report);
  expect(compared).toMatchObject({ lost: [], duplicated: [] });
  expect(compared.acknowledged).toBeGreaterThanOrEqual(4_000);
}, 120_000);

test('with synchronous_commit off the same kill does lose events: the check sees a loss', async () => {
  postgres = await startOwnPostgres({ synchronous_commit: 'off', wal_writer_delay: '10s' });
  const report = await loadThroughKill(postgres);
  const { lost } = await compare(postgres, report);
  expect(lost).not.toEqual([]);
}, 120_000);

test('while PostgreSQL is stopped creates are UNAVAILABLE with RetryInfo, and work again when it is back', async () => {
  postgres = await startOwnPostgres();
  const { baseUrl, secretKey } = await startOn(postgres);
  const client = createEventsClient({ baseUrl, secretKey });
  const request = {
    workspaceId: testWorkspaceId,
    type: 'tested',
    payload: {},
    idempotencyKey: 'x',
  };
  const { event } = await client.createEvent(request);
  await postgres.stop();
  const refusal = await refusalOf(client.createEvent(request));
  expect(refusal).toMatchObject({
    code: 'Unavailable',
    reason: 'DATABASE_UNAVAILABLE',
    retryable: true,
  });
  // Looked up by entity, not by a statement of the hot path.
  const ofUnseen = client.createEvent({ ...request, workspaceId: 'ws_unseen' });
  expect(await refusalOf(ofUnseen)).toMatchObject({
    code: 'Unavailable',
    reason: 'DATABASE_UNAVAILABLE',
    retryable: true,
  });
  expect(await refusalOf(client.retrieveEvent({ id: event?.id ?? '' }))).toMatchObject({
    code: 'Unavailable',
    reason: 'DATABASE_UNAVAILABLE',
  });
  await postgres.start();
  const again = await client.createEvent(request);
  expect(again).toMatchObject({ replayed: true, event: { id: event?.id } });
}, 60_000);

test('sessions that are terminated under load cost no acknowledged event and make no duplicate', async () => {
  postgres = await startOwnPostgres();
  const own = postgres;
  const { baseUrl, secretKey } = await startOn(own);
  const client = createEventsClient({ baseUrl, secretKey });
  const load = startLoad({
    client: () => client,
    workspaceId: testWorkspaceId,
    writers: 32,
    retry: true,
  });
  for (let round = 1; round <= 5; round++) {
    await load.reached(round * 400);
    const terminated = await own.query(`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'harbor-events'`);
    expect(terminated.length).toBeGreaterThan(0);
  }
  await load.reached(2_400);
  const compared = await compare(own, await load.stop());
  expect(compared).toMatchObject({ lost: [], duplicated: [] });
  expect(compared.acknowledged).toBeGreaterThanOrEqual(2_400);
}, 60_000);

test('a service refuses to start on a PostgreSQL that may lose acknowledged events', async () => {
  postgres = await startOwnPostgres({ synchronous_commit: 'off' });
  const database = { ...(await createTestDatabase()), url: postgres.url, name: 'harbor' };
  await expect(startTestService({}, database)).rejects.toThrow('synchronous_commit=off');
}, 60_000);
