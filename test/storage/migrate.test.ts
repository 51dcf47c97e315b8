import { Migration } from '@mikro-orm/migrations';
import { afterEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { migrations } from '../../src/database/migrations/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService } from '../support/test-service.ts';

/** Takes longer than the sessions of these tests allow a statement. */
class Slow extends Migration {
  override up(): void {
    this.addSql('alter table workspaces add column colour text');
    this.addSql('select pg_sleep(0.6)');
  }
}

const later = [...migrations, { name: '9999-colours', class: Slow }];
const opened: { database: Database; testDatabase: TestDatabase }[] = [];

async function openLater(options = 'statement_timeout=200'): Promise<{
  database: Database;
  testDatabase: TestDatabase;
}> {
  const testDatabase = await createTestDatabase();
  const database = await openDatabase({
    url: `${testDatabase.url}?${options}`,
    poolSize: 2,
    applicationName: 'harbor-test',
    onNotice: () => undefined,
    migrations: later,
  });
  const both = { database, testDatabase };
  opened.push(both);
  return both;
}

afterEach(async () => {
  for (const { database, testDatabase } of opened.splice(0)) {
    await database.close();
    await testDatabase.drop();
  }
});

const colours = `select column_name from information_schema.columns where column_name = 'colour'`;

test('a migration may take longer than any statement of the service', async () => {
  const { database, testDatabase } = await openLater();
  await expect(
    database.statements.run({ name: 'test_sleep', text: 'select pg_sleep(0.6)' }, [], 5_000),
  ).rejects.toThrow('lost');
  expect(await migrate(database)).toEqual(['9999-colours']);
  expect(await testDatabase.query(colours)).toHaveLength(1);
  expect(await migrate(database)).toEqual([]);
});

test('several processes migrate at once: one does, the others wait and find it done', async () => {
  const { database, testDatabase } = await openLater('lock_timeout=100');
  const others = await Promise.all(
    Array.from({ length: 3 }, () =>
      openDatabase({
        url: testDatabase.url,
        poolSize: 2,
        applicationName: 'harbor-test',
        onNotice: () => undefined,
        migrations: later,
      }),
    ),
  );
  const ran = await Promise.all([database, ...others].map(migrate));
  expect(ran.toSorted((a, b) => a.length - b.length)).toEqual([[], [], [], ['9999-colours']]);
  await Promise.all(others.map((other) => other.close()));
});

test('a migration that finds its table in use lets the others go first, and tries again', async () => {
  const { database, testDatabase } = await openLater();
  const user = await testDatabase.connect();
  await user.query('begin; select from workspaces');
  const migrating = migrate(database);
  const waiting = `select 1 from pg_locks where mode = 'AccessExclusiveLock' and not granted
    and database = (select oid from pg_database where datname = current_database())`;
  await expect.poll(() => testDatabase.query(waiting)).toHaveLength(1);
  // It gave up, rather than hold up those who come after it.
  await expect.poll(() => testDatabase.query(waiting)).toHaveLength(0);
  await user.query('commit');
  expect(await migrating).toEqual(['9999-colours']);
  await user.end();
});

test('a migration that fails leaves the schema as it was, and runs when its cause is mended', async () => {
  const { database, testDatabase } = await openLater();
  await testDatabase.query('alter table workspaces add column colour text');
  await expect(migrate(database)).rejects.toThrow('colour');
  await testDatabase.query('alter table workspaces drop column colour');
  expect(await migrate(database)).toEqual(['9999-colours']);
});

test('an older program does not start on the schema of a newer one, and says what to run', async () => {
  const { database, testDatabase } = await openLater();
  await migrate(database);
  await expect(startTestService({}, testDatabase)).rejects.toMatchObject({
    name: 'SchemaTooNew',
    message: expect.stringMatching(/does not know 9999-colours: run that version, or a later one$/),
  });
});
