import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiKeyStore, createApiKeyStore, issueApiKey } from '../../src/api-keys/index.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { uuidOf } from '../../src/type-id.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
let database: Database;
let store: ApiKeyStore;
/** Of two keys, the lower first. */
let ids: string[];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = await openDatabase({
    url: testDatabase.url,
    poolSize: 2,
    applicationName: 'harbor-key-uses',
    onNotice: () => undefined,
  });
  store = createApiKeyStore(database);
  const grant = { scopes: [], workspaceIds: [], typePatterns: [], expiresAt: undefined };
  const issued = [
    await issueApiKey(store, { ...grant, kind: 'secret', displayName: '' }),
    await issueApiKey(store, { ...grant, kind: 'secret', displayName: '' }),
  ];
  ids = issued.map(({ apiKey }) => apiKey.id).toSorted();
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

const isWaiting = async () => {
  const [row] = await testDatabase.query<{ waiting: boolean }>(
    `select exists (select from pg_stat_activity where wait_event_type = 'Lock'
       and application_name = 'harbor-key-uses') as waiting`,
  );
  return row?.waiting;
};

test('uses are noted in the order of ids: who changes a key meanwhile is not waited for in a circle', async () => {
  const [lower = '', higher = ''] = ids;
  // Its row lies behind the other one from now on.
  await store.update(lower, { displayName: 'moved' });
  const holder = await testDatabase.connect();
  await holder.query('begin');
  await holder.query('select from api_keys where id = $1 for update', [uuidOf(lower)]);
  const at = new Date('2030-01-01T00:00:00Z');
  const noted = store.noteUses(
    new Map([
      [higher, at],
      [lower, at],
    ]),
  );
  await expect.poll(isWaiting).toBe(true);
  await holder.query('select from api_keys where id = $1 for update nowait', [uuidOf(higher)]);
  await holder.query('commit');
  await holder.end();
  await noted;
  const keys = await store.findAll(ids);
  expect(ids.map((id) => keys.get(id)?.lastUsedAt)).toEqual([at, at]);
});

test('an earlier use does not take the place of a later one', async () => {
  const [id = ''] = ids;
  const [later, earlier] = [new Date('2031-01-01T00:00:00Z'), new Date('2029-01-01T00:00:00Z')];
  await store.noteUses(new Map([[id, later]]));
  await store.noteUses(new Map([[id, earlier]]));
  expect((await store.find(id))?.lastUsedAt).toEqual(later);
});
