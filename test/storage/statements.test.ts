import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  await testDatabase.query('create table shapes (side int)');
  await testDatabase.query('insert into shapes values (3)');
  database = await openDatabase({
    url: testDatabase.url,
    // One session: what is prepared on it is what the next statement finds.
    poolSize: 1,
    applicationName: 'harbor-test',
    onNotice: () => undefined,
  });
});

afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

const statement = { name: 'test_shapes', text: 'select * from shapes' };

test('a statement whose result a change of the schema has changed is prepared again, and nobody hears of it', async () => {
  expect(await database.statements.run(statement, [], 5_000)).toEqual([{ side: 3 }]);
  await testDatabase.query(`alter table shapes add column colour text default 'red'`);
  expect(await database.statements.run(statement, [], 5_000)).toEqual([{ side: 3, colour: 'red' }]);
});

test('a statement that its session has forgotten is prepared again, and nobody hears of it', async () => {
  const before = await database.statements.run(statement, [], 5_000);
  const client = await database.connect();
  await client.query('deallocate all');
  client.release();
  expect(await database.statements.run(statement, [], 5_000)).toEqual(before);
});

test('the wait for a connection is part of the time that a statement has, and nothing is sent after it', async () => {
  const client = await database.connect();
  const late = database.statements.run(statement, [], 50);
  await expect(late).rejects.toMatchObject({ name: 'DatabaseUnavailable', sent: false });
  client.release();
  expect(await database.statements.run(statement, [], 5_000)).toHaveLength(1);
});

test('an answer that came in time is taken, although the process was too busy to read it', async () => {
  await database.statements.run(statement, [], 5_000);
  const answer = database.statements.run(statement, [], 100);
  await new Promise((resolve) => setImmediate(resolve));
  // Busy for three times as long: nothing is read meanwhile, and then the timer is due first.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  expect(await answer).toHaveLength(1);
});

test('a statement is planned once a connection, whatever it is asked', async () => {
  const planned = { name: 'test_planned', text: 'select * from shapes where side = $1::int' };
  for (let side = 0; side < 7; side++) await database.statements.run(planned, [side], 5_000);
  const plans = `select generic_plans::int as once, custom_plans::int as again
    from pg_prepared_statements where name = 'test_planned'`;
  const [counted] = await database.statements.run({ name: 'test_plans', text: plans }, [], 5_000);
  expect(counted).toEqual({ once: 7, again: 0 });
});
