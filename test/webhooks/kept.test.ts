import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { boundAt } from '../../src/database/partitions/period.ts';
import { createHasEndpoints } from '../../src/webhooks/endpoints/has-endpoints-store.ts';
import { createSweepEndpoints } from '../../src/webhooks/endpoints/sweep-endpoints-store.ts';
import { createAttemptPartitions } from '../../src/webhooks/log/attempt-partitions-store.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

const endpointId = '01920000-0000-7000-8000-000000000001';
const dayMs = 24 * 60 * 60_000;

let testDatabase: TestDatabase;
let database: Database;
beforeEach(async () => {
  testDatabase = await createTestDatabase();
  database = await openDatabase({
    url: testDatabase.url,
    poolSize: 6,
    applicationName: 'test',
    onNotice: () => undefined,
  });
});
afterEach(async () => {
  await database.close();
  await testDatabase.drop();
});

const keep = (logDays = 30) => createAttemptPartitions(database, logDays).keep();

/** A request of a delivery whose window was made `daysAgo`, sent by now. */
async function attempt(daysAgo: number, startedDaysAgo = daysAgo): Promise<void> {
  const windowId = boundAt(new Date(Date.now() - daysAgo * dayMs));
  await testDatabase.query(
    `insert into webhook_attempts (window_id, place, attempt, workspace_id, cursor_id, endpoint_id, event_id, sequence,
       previous_sequence, started_at, duration_ms, outcome)
     values ($1, 0, 1, 'ws_a', $2, $2, $2, 1, 0, now() - $3 * interval '1 day', 1, 'succeeded')`,
    [windowId, endpointId, startedDaysAgo],
  );
}

const placesOf = async () =>
  (
    await testDatabase.query<{ name: string }>(
      'select tableoid::regclass::text as name from webhook_attempts order by window_id',
    )
  ).map(({ name }) => name);

test('this week and the three after it have a partition, made once whoever makes them', async () => {
  const rounds = await Promise.all([keep(), keep(), keep()]);
  const made = rounds.flatMap((round) => round.made);
  expect(made).toHaveLength(4);
  expect(new Set(made).size).toBe(4);
  for (const name of made) expect(name).toMatch(/^webhook_attempts_\d{8}$/);
  expect(await keep()).toEqual({ made: [], dropped: [] });
  await attempt(0);
  await attempt(-14);
  expect(await placesOf()).not.toContain('webhook_attempts_rest');
});

test('requests are written before there is a partition, and go where they belong when there is', async () => {
  await attempt(0);
  await attempt(-7);
  await attempt(100, 1);
  expect(new Set(await placesOf())).toEqual(new Set(['webhook_attempts_rest']));
  await keep();
  const [old, ...others] = await placesOf();
  expect(old).toBe('webhook_attempts_rest');
  expect(others).toHaveLength(2);
  expect(others).not.toContain('webhook_attempts_rest');
});

test('a partition is dropped when none of its deliveries is kept, and not a day before', async () => {
  const week = 7 * dayMs;
  const ofWeek = async (weeksAgo: number) => {
    const monday = Math.floor((Date.now() - 4 * dayMs) / week) * week + 4 * dayMs - weeksAgo * week;
    const name = `webhook_attempts_${new Date(monday).toISOString().slice(0, 10).replaceAll('-', '')}`;
    await testDatabase.query(
      `create table ${name} partition of webhook_attempts
       for values from ('${boundAt(new Date(monday))}') to ('${boundAt(new Date(monday + week))}')`,
    );
    return name;
  };
  const [young, old] = [await ofWeek(5), await ofWeek(7)];
  expect((await keep(30)).dropped).toEqual([old]);
  const left = await testDatabase.query<{ name: string }>(
    "select relname as name from pg_class where relname like 'webhook_attempts_2%' and relkind = 'r'",
  );
  expect(left.map(({ name }) => name)).toContain(young);
  expect(left.map(({ name }) => name)).not.toContain(old);
});

test('the rest is swept by when its requests were sent', async () => {
  await attempt(200, 31);
  await attempt(201, 29);
  await keep(30);
  expect(await placesOf()).toEqual(['webhook_attempts_rest']);
});

async function endpoint(id: string, workspaceId: string, deletedDaysAgo: number | null) {
  await testDatabase.query(
    `insert into webhook_endpoints (id, workspace_id, url, description, type_patterns, header_names, max_in_flight,
       timeout_ms, ordering, status, status_changed_at, created_at, updated_at, deleted_at)
     values ($1, $2, 'https://example.com', '', '{}', '{}', 10, 15000, 'none', 'enabled', now(), now(), now(),
       now() - $3::int * interval '1 day')`,
    [id, workspaceId, deletedDaysAgo],
  );
  await testDatabase.query(
    'insert into webhook_states (endpoint_id, workspace_id) values ($1, $2)',
    [id, workspaceId],
  );
  await testDatabase.query(
    `insert into webhook_secrets (id, workspace_id, endpoint_id, ciphertext, created_at)
     values ($1, $2, $1, '\\x00', now())`,
    [id, workspaceId],
  );
  await cursor(id, id, { workspaceId, kind: 'live', endedDaysAgo: null });
}

async function cursor(
  id: string,
  ofEndpoint: string,
  {
    workspaceId,
    kind,
    endedDaysAgo,
  }: { workspaceId: string; kind: string; endedDaysAgo: number | null },
) {
  await testDatabase.query(
    `insert into webhook_cursors (id, workspace_id, endpoint_id, kind, state, position, first_sequence, type_patterns,
       created_at, ended_at)
     values ($1, $2, $3, $4, 'running', 0, 1, '{}', now(), now() - $5::int * interval '1 day')`,
    [id, workspaceId, ofEndpoint, kind, endedDaysAgo],
  );
}

const uuid = (n: number) => `01920000-0000-7000-8000-00000000000${n}`;

test('what is left of a deleted endpoint goes when its deliveries are kept no more', async () => {
  await testDatabase.query(
    "insert into workspaces (id, display_name, created_at) values ('ws_a', '', now())",
  );
  await endpoint(uuid(1), 'ws_a', null);
  await endpoint(uuid(2), 'ws_a', 29);
  await endpoint(uuid(3), 'ws_a', 31);
  await cursor(uuid(4), uuid(1), { workspaceId: 'ws_a', kind: 'replay', endedDaysAgo: 29 });
  await cursor(uuid(5), uuid(1), { workspaceId: 'ws_a', kind: 'replay', endedDaysAgo: 31 });
  await cursor(uuid(6), uuid(1), { workspaceId: 'ws_a', kind: 'replay', endedDaysAgo: null });
  await createSweepEndpoints(database.statements, 30)();
  const ids = async (table: string, column: string) =>
    (
      await testDatabase.query<{ id: string }>(`select ${column} as id from ${table} order by 1`)
    ).map(({ id }) => id);
  expect(await ids('webhook_endpoints', 'id')).toEqual([uuid(1), uuid(2)]);
  expect(await ids('webhook_states', 'endpoint_id')).toEqual([uuid(1), uuid(2)]);
  expect(await ids('webhook_secrets', 'endpoint_id')).toEqual([uuid(1), uuid(2)]);
  expect(await ids('webhook_cursors', 'id')).toEqual([uuid(1), uuid(2), uuid(4), uuid(6)]);
});

test('the id of a deleted workspace is not free while what its endpoints were sent is kept', async () => {
  await testDatabase.query(
    `insert into workspaces (id, display_name, created_at, deleted_at)
     values ('ws_a', '', now(), now()), ('ws_b', '', now(), now())`,
  );
  await endpoint(uuid(1), 'ws_a', null);
  await endpoint(uuid(2), 'ws_b', 31);
  const hasEndpoints = createHasEndpoints(database.statements);
  const sweep = createSweepEndpoints(database.statements, 30);
  expect(await Promise.all(['ws_a', 'ws_b'].map(hasEndpoints))).toEqual([true, true]);
  await sweep();
  expect(await Promise.all(['ws_a', 'ws_b'].map(hasEndpoints))).toEqual([true, false]);
  await testDatabase.query("update webhook_endpoints set deleted_at = now() - interval '31 days'");
  await sweep();
  expect(await hasEndpoints('ws_a')).toBe(false);
});

test('endpoints of a deleted workspace end, and their secrets are gone at once', async () => {
  await testDatabase.query(
    `insert into workspaces (id, display_name, created_at, deleted_at)
     values ('ws_a', '', now(), null), ('ws_b', '', now(), now())`,
  );
  await endpoint(uuid(1), 'ws_a', null);
  await endpoint(uuid(2), 'ws_b', null);
  await createSweepEndpoints(database.statements, 30)();
  expect(
    await testDatabase.query(
      'select id, deleted_at is null as is_there from webhook_endpoints order by id',
    ),
  ).toEqual([
    { id: uuid(1), is_there: true },
    { id: uuid(2), is_there: false },
  ]);
  expect(await testDatabase.query('select endpoint_id from webhook_secrets')).toEqual([
    { endpoint_id: uuid(1) },
  ]);
});
