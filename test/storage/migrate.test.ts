import { afterEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { type MigrateOptions, migrate } from '../../src/database/migrate.ts';
import { migrations } from '../../src/database/migrations/index.ts';
import { type Migration, statements } from '../../src/database/migrations/migration.ts';
import { killSchemaHolder } from '../support/schema-lock.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService } from '../support/test-service.ts';

/** Of a later version, with which this one works. One of its steps takes longer than these sessions allow. */
const colours: Migration = {
  name: '9999-colours',
  worksFrom: migrations.at(-1)?.name as string,
  steps: [
    statements(
      'column',
      'alter table workspaces add column colour text',
      'select pg_sleep(0.6)',
      `update workspaces set colour = 'blue'`,
    ),
    { name: 'index', index: 'workspaces_colour_index', definition: 'on workspaces (colour)' },
    statements('check', `alter table workspaces add check (colour <> 'grey')`),
  ],
};
const later: MigrateOptions = { migrations: [...migrations, colours] };
const stepNames = colours.steps.map(({ name }) => name);
const opened: (() => Promise<void>)[] = [];

function open(url: string): Promise<Database> {
  const options = { poolSize: 2, applicationName: 'harbor-test', onNotice: () => undefined };
  return openDatabase({ url, ...options });
}

async function openBoth(options = 'statement_timeout=200'): Promise<{
  database: Database;
  testDatabase: TestDatabase;
}> {
  const testDatabase = await createTestDatabase();
  const database = await open(`${testDatabase.url}?${options}`);
  opened.push(async () => {
    await database.close();
    await testDatabase.drop();
  });
  return { database, testDatabase };
}

afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

const validIndexes = `select from pg_index
  where indexrelid = to_regclass('workspaces_colour_index') and indisvalid`;
const doneSteps = `select step from harbor_schema
  where migration = '9999-colours' and done_at is not null order by begun_at`;

async function isAllDone(testDatabase: TestDatabase): Promise<boolean> {
  const done = await testDatabase.query<{ step: string }>(doneSteps);
  const indexes = await testDatabase.query(validIndexes);
  return done.length === stepNames.length && indexes.length === 1;
}

test('a step may take longer than any statement of the service', async () => {
  const { database, testDatabase } = await openBoth();
  await expect(
    database.statements.run({ name: 'test_sleep', text: 'select pg_sleep(0.6)' }, [], 5_000),
  ).rejects.toThrow('lost');
  const steps: string[] = [];
  const onStep = ({ step }: { step: string }) => void steps.push(step);
  expect(await migrate(database, { ...later, onStep })).toEqual(['9999-colours']);
  expect(steps).toEqual(stepNames);
  expect(await isAllDone(testDatabase)).toBe(true);
  expect(await migrate(database, later)).toEqual([]);
});

test('several processes migrate at once: one does, the others wait and find it done', async () => {
  const { database, testDatabase } = await openBoth('lock_timeout=100');
  const others = await Promise.all(Array.from({ length: 3 }, () => open(testDatabase.url)));
  const ran = await Promise.all([database, ...others].map((one) => migrate(one, later)));
  expect(ran.toSorted((a, b) => a.length - b.length)).toEqual([[], [], [], ['9999-colours']]);
  await Promise.all(others.map((other) => other.close()));
});

test('where nothing is to be done, nobody waits for a migration of somebody else', async () => {
  const { database, testDatabase } = await openBoth();
  const user = await testDatabase.connect();
  await user.query('begin; select from workspaces');
  const migrating = migrate(await openAnother(testDatabase), later);
  await expect.poll(() => testDatabase.query(waitingChanges)).toHaveLength(1);
  expect(await migrate(database)).toEqual([]);
  await user.query('commit');
  await user.end();
  expect(await migrating).toEqual(['9999-colours']);
});

async function openAnother({ url }: TestDatabase): Promise<Database> {
  const database = await open(url);
  opened.unshift(() => database.close());
  return database;
}

const waitingChanges = `select from pg_locks where mode = 'AccessExclusiveLock' and not granted
  and database = (select oid from pg_database where datname = current_database())`;

test('a step that finds its table in use lets the others go first, and tries again', async () => {
  const { database, testDatabase } = await openBoth();
  const user = await testDatabase.connect();
  await user.query('begin; select from workspaces');
  const migrating = migrate(database, later);
  await expect.poll(() => testDatabase.query(waitingChanges)).toHaveLength(1);
  // It gave up, rather than hold up those who come after it.
  await expect.poll(() => testDatabase.query(waitingChanges)).toHaveLength(0);
  await user.query('commit');
  expect(await migrating).toEqual(['9999-colours']);
  await user.end();
});

test('a step that fails leaves nothing of it, and the next start goes on there', async () => {
  const { database, testDatabase } = await openBoth();
  await testDatabase.query(`insert into workspaces (id, display_name, created_at)
    values ('ws_1', '', now())`);
  const broken = { ...colours, steps: [...colours.steps.slice(0, 2), statements('check', grey)] };
  await expect(migrate(database, { migrations: [...migrations, broken] })).rejects.toThrow('check');
  expect(await testDatabase.query(doneSteps)).toEqual([{ step: 'column' }, { step: 'index' }]);
  expect(await testDatabase.query(`select from workspaces where colour = 'blue'`)).toHaveLength(1);
  expect(await migrate(database, later)).toEqual(['9999-colours']);
  expect(await isAllDone(testDatabase)).toBe(true);
});

const grey = `alter table workspaces add column shade text, add check (colour = 'grey')`;

test.each(stepNames)('killed when it has just begun %s, the next start goes on', async (victim) => {
  const { database, testDatabase } = await openBoth();
  const onStep = async ({ step }: { step: string }) => {
    if (step === victim) await killSchemaHolder(testDatabase);
  };
  await expect(migrate(database, { ...later, onStep })).rejects.toThrow();
  expect(await testDatabase.query(doneSteps)).toHaveLength(stepNames.indexOf(victim));
  expect(await migrate(database, later)).toEqual(['9999-colours']);
  expect(await isAllDone(testDatabase)).toBe(true);
});

test('an index that was left half-built is built afresh', async () => {
  const { database, testDatabase } = await openBoth();
  const user = await testDatabase.connect();
  await user.query(
    'begin; insert into workspaces (id, display_name, created_at) values ($$ws_1$$, $$$$, now())',
  );
  const migrating = migrate(database, {
    migrations: [...migrations, { ...colours, steps: hintIndex }],
  });
  // It has begun, and waits for the transaction before it.
  const halfBuilt = `select from pg_index
    where indexrelid = to_regclass('workspaces_hint_index') and not indisvalid`;
  await expect.poll(() => testDatabase.query(halfBuilt)).toHaveLength(1);
  const failing = expect(migrating).rejects.toThrow();
  await killSchemaHolder(testDatabase);
  await failing;
  expect(await testDatabase.query(halfBuilt)).toHaveLength(1);
  await user.query('commit');
  await user.end();
  await migrate(database, { migrations: [...migrations, { ...colours, steps: hintIndex }] });
  expect(await testDatabase.query(halfBuilt)).toHaveLength(0);
});

const hintIndex = [
  { name: 'hint', index: 'workspaces_hint_index', definition: 'on workspaces (display_name)' },
];

test('processes that wait do not hold up an index that waits for older transactions', async () => {
  const { database, testDatabase } = await openBoth('');
  const user = await testDatabase.connect();
  await user.query(
    'begin; insert into workspaces (id, display_name, created_at) values ($$ws_1$$, $$$$, now())',
  );
  const options = { migrations: [...migrations, { ...colours, steps: hintIndex }] };
  const migrating = migrate(database, options);
  const begun = `select from pg_index where indexrelid = to_regclass('workspaces_hint_index')`;
  await expect.poll(() => testDatabase.query(begun)).toHaveLength(1);
  const others = [await openAnother(testDatabase), await openAnother(testDatabase)];
  let waiters = 0;
  const waiting = others.map((other) => migrate(other, { ...options, onWait: () => waiters++ }));
  const sessions = `select from pg_stat_activity where datname = current_database()
    and query like '%pg_try_advisory_lock%' and pid <> pg_backend_pid()`;
  await expect.poll(() => testDatabase.query(sessions)).toHaveLength(2);
  expect(waiters).toBe(2);
  await user.query('commit');
  await user.end();
  expect(await migrating).toEqual(['9999-colours']);
  expect(await Promise.all(waiting)).toEqual([[], []]);
});

test('a program older than a newer schema works with does not start, and says what to run', async () => {
  const { database, testDatabase } = await openBoth();
  const alone = { ...colours, worksFrom: colours.name };
  await migrate(database, { migrations: [...migrations, alone] });
  await expect(startTestService({}, testDatabase)).rejects.toMatchObject({
    name: 'SchemaTooNew',
    message: expect.stringMatching(/does not know 9999-colours: run that version, or a later one$/),
  });
});

test('a program with which a newer schema works starts on it, so that a rollout can go back', async () => {
  const { database, testDatabase } = await openBoth();
  await migrate(database, later);
  const service = await startTestService({}, testDatabase);
  expect(service.logLines).toContainEqual(
    expect.objectContaining({ database: expect.objectContaining({ schema: '9999-colours' }) }),
  );
  await service.stop();
});
