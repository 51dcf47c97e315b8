import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  const options = { poolSize: 2, applicationName: 'test', onNotice: () => undefined };
  database = await openDatabase({ url: testDatabase.url, ...options });
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

/** Entities know nothing of triggers, nor of tables that are the schema's own, or that statements alone work with. */
const notOfEntities =
  /trigger if exists|_fn"\(\)|"(harbor_\w+|event_partitioning|retiring_\w+|webhook_(states|cursors|windows|work|attempts)\w*)"/;

/** What would have to be done to make the schema that of the entities. */
async function findDrift(): Promise<string[]> {
  const drift = await database.orm.schema.getUpdateSchemaSQL({ wrap: false });
  return drift.split('\n').filter((line) => line !== '' && !notOfEntities.test(line));
}

test('the schema of the migrations is the schema of the entities, and a difference is seen', async () => {
  expect(await findDrift()).toEqual([]);
  await testDatabase.query('alter table workspaces add column stray text');
  expect(await findDrift()).toEqual([expect.stringContaining('stray')]);
  await testDatabase.query('alter table workspaces drop column stray');
});
