import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { migrations } from '../../src/database/migrations/index.ts';
import { createEventPartitions } from '../../src/database/partitions/event-partitions.ts';
import { partitionsFrom } from '../../src/database/partitions/period.ts';
import {
  type EarlierProcesses,
  makeEarlierDatabase,
  startEarlierProcesses,
} from '../support/earlier-processes.ts';
import { killSchemaHolder } from '../support/schema-lock.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService } from '../support/test-service.ts';

let testDatabase: TestDatabase;
let database: Database;

beforeEach(async () => {
  testDatabase = await createTestDatabase();
  await makeEarlierDatabase(testDatabase);
  const options = { poolSize: 4, applicationName: 'test', onNotice: () => undefined };
  database = await openDatabase({ url: testDatabase.url, ...options });
});
afterEach(async () => {
  await database.close();
  await testDatabase.drop();
});

const untilAnswered = (processes: EarlierProcesses, more: number) => {
  const before = processes.answered;
  return expect
    .poll(() => processes.answered - before + processes.failures.length)
    .toBeGreaterThan(more);
};

/** Everything that was acknowledged is there, numbered without a gap, and by nobody else's numbers. */
async function assertWhole({ acknowledged, failures }: EarlierProcesses): Promise<void> {
  expect(failures).toEqual([]);
  const stored = await testDatabase.query<{ id: string }>('select id from events');
  expect(new Set(stored.map(({ id }) => id))).toEqual(acknowledged);
  expect(
    await testDatabase.query(`
      select workspaces.id from workspaces left join lateral (
        select count(*), count(distinct sequence) as numbers, max(sequence) as last
        from events where workspace_id = workspaces.id
      ) as held on true
      where not (count = last_sequence and numbers = last_sequence and last = last_sequence)`),
  ).toEqual([]);
}

const initial = {
  name: 'events_initial',
  from: undefined,
  until: partitionsFrom('quarter', new Date(), 3).at(-1)?.until,
  isDetaching: false,
};
const fileOf = async (table: string) =>
  (
    await testDatabase.query<{ file: string }>(
      `select pg_relation_filenode($1::regclass) as file`,
      [table],
    )
  )[0]?.file;

test('a table of before becomes the first partition without a copy, while processes of before go on', async () => {
  const processes = await startEarlierProcesses(testDatabase);
  await untilAnswered(processes, 50);
  const file = await fileOf('events');
  expect(await migrate(database)).toEqual(migrations.map(({ name }) => name));
  await untilAnswered(processes, 50);
  await processes.stop();
  await assertWhole(processes);
  expect(await fileOf('events_initial')).toBe(file);
  expect(await createEventPartitions(database).list()).toEqual([initial]);
  expect(
    await testDatabase.query(`select reloptions from pg_class where relname = 'events_initial'`),
  ).toEqual([{ reloptions: ['autovacuum_vacuum_insert_scale_factor=0.02'] }]);
});

test('a reader that is slow to end holds up the migration, and with it none of the others', async () => {
  const processes = await startEarlierProcesses(testDatabase);
  const reader = await testDatabase.connect();
  await reader.query('begin; select from events');
  const migrating = migrate(database);
  const waiting = `select from pg_locks where not granted and relation = 'events'::regclass`;
  for (let tries = 0; tries < 3; tries++) {
    await expect.poll(() => testDatabase.query(waiting), { timeout: 10_000 }).not.toEqual([]);
    await expect.poll(() => testDatabase.query(waiting), { timeout: 10_000 }).toEqual([]);
  }
  await reader.query('commit');
  await reader.end();
  await migrating;
  await untilAnswered(processes, 5);
  await processes.stop();
  await assertWhole(processes);
});

test('its new indexes are those of the parent, and only one of a kind', async () => {
  const processes = await startEarlierProcesses(testDatabase);
  await untilAnswered(processes, 5);
  await processes.stop();
  await migrate(database);
  const indexes = await testDatabase.query<{ name: string; parent: string | null }>(`
    select indexrelid::regclass::text as name, inhparent::regclass::text as parent
    from pg_index left join pg_inherits on inhrelid = indexrelid
    where indrelid = 'events_initial'::regclass and indisvalid order by 1`);
  expect(indexes).toEqual([
    { name: 'events_initial_pkey', parent: 'events_pkey' },
    { name: 'events_initial_subject_index', parent: 'events_subject_index' },
    { name: 'events_initial_type_index', parent: 'events_type_index' },
    { name: 'events_initial_workspace_id_sequence_key', parent: null },
  ]);
});

const steps = migrations.flatMap(({ name, steps }) =>
  steps.map((step) => ({ migration: name, step: step.name })),
);

test.each(steps)(
  'killed when it has just begun $migration, $step, the next start goes on',
  async (victim) => {
    const processes = await startEarlierProcesses(testDatabase);
    await untilAnswered(processes, 5);
    const onStep = async ({ migration, step }: typeof victim) => {
      if (migration === victim.migration && step === victim.step)
        await killSchemaHolder(testDatabase);
    };
    await expect(migrate(database, { onStep })).rejects.toThrow();
    // Half-migrated, it is a database on which earlier processes create and read.
    await untilAnswered(processes, 5);
    expect((await migrate(database))[0]).toBe(victim.migration);
    await untilAnswered(processes, 5);
    await processes.stop();
    await assertWhole(processes);
    expect(await createEventPartitions(database).list()).toEqual([initial]);
  },
);

test('today’s service works on it, and events of before are guarded as all others', async () => {
  const processes = await startEarlierProcesses(testDatabase);
  await untilAnswered(processes, 5);
  await processes.stop();
  const service = await startTestService({}, testDatabase);
  await service.stop();
  for (const table of ['events', 'events_initial']) {
    for (const change of [`delete from ${table}`, `update ${table} set type = 'x'`]) {
      await expect(testDatabase.query(change)).rejects.toThrow('events are immutable');
    }
  }
});

test('a database without events begins with the partitions of its time', async () => {
  await migrate(database, { eventPartitions: 'month' });
  const planned = partitionsFrom('month', new Date(), 3);
  expect(await createEventPartitions(database).list()).toEqual(
    planned.map((one) => ({ ...one, isDetaching: false })),
  );
});

test('an event of a clock that was years ahead is in the first partition too', async () => {
  await testDatabase.query(`
    insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
    values ('01f00000-0000-7000-8000-000000000000', 'ws_1', 1, 'tested', '{}', 2, now())`);
  await migrate(database);
  const [first, ...others] = await createEventPartitions(database).list();
  expect(first).toMatchObject({ name: 'events_initial', until: new Date('2037-10-01T00:00:00Z') });
  expect(others).toEqual([]);
});

test('whoever may read the events still may', async () => {
  const role = `${testDatabase.name}_reporter`;
  await testDatabase.query(`create role ${role}`);
  await testDatabase.query(`grant select on events to ${role} with grant option`);
  await testDatabase.query('grant select on events to public');
  await migrate(database);
  expect(
    await testDatabase.query(
      `select has_table_privilege($1, 'events', 'select with grant option') as may,
         has_table_privilege($1, 'events', 'insert') as may_more`,
      [role],
    ),
  ).toEqual([{ may: true, may_more: false }]);
  await testDatabase.query(`drop owned by ${role}`);
  await testDatabase.query(`drop role ${role}`);
});
