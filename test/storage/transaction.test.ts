import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { textArray } from '../../src/database/binary-arrays.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import type { Transaction } from '../../src/database/transaction.ts';
import { prepareEvent } from '../../src/events/event.ts';
import { createEventStore } from '../../src/events/index.ts';
import { WorkspaceEntity } from '../../src/workspaces/workspace.entity.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
let proxy: PostgresProxy;
/** With a single session: one that is not given back is missed at once. */
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  await testDatabase.query('create table notes (workspace_id text primary key)');
  proxy = await startPostgresProxy(testDatabase.url);
});
beforeEach(async () => {
  database = await openDatabase({
    url: proxy.url,
    poolSize: 1,
    applicationName: 'harbor-transaction',
    onNotice: () => undefined,
  });
});
afterEach(async () => {
  await database.close();
  await testDatabase.query('delete from notes');
  await testDatabase.query('delete from workspaces');
});
afterAll(async () => {
  await proxy.stop();
  await testDatabase.drop();
});

const note = {
  name: 'test_note',
  text: `
    insert into notes select * from unnest($1::text[])
    on conflict (workspace_id) do nothing returning workspace_id`,
};
const readPid = { name: 'test_pid', text: 'select pg_backend_pid() as pid' };

/** Half of it by entity, half by statement. */
async function make(tx: Transaction, id: string): Promise<void> {
  const row = { id, displayName: '', lastSequence: 0, lastEventAt: null, createdAt: new Date() };
  await tx.em.insert(WorkspaceEntity, row);
  await tx.run(note, [textArray([id])]);
}

async function stored(): Promise<{ workspaces: string[]; notes: string[] }> {
  const [row] = await testDatabase.query<{ workspaces: string[]; notes: string[] }>(`
    select array(select id from workspaces order by id) as workspaces,
      array(select workspace_id from notes order by workspace_id) as notes`);
  if (row === undefined) throw new Error('a select without a from has one row');
  return row;
}

const nothing = { workspaces: [], notes: [] };
const both = { workspaces: ['ws_tx'], notes: ['ws_tx'] };

async function pid(): Promise<unknown> {
  return database.statements.run(readPid, [], 5_000);
}

test('entities and statements of a transaction are there together, on one connection', async () => {
  const before = await pid();
  const inside = await database.inTransaction(async (tx) => {
    await make(tx, 'ws_tx');
    expect(await stored()).toEqual(nothing);
    return tx.run(readPid, []);
  });
  expect(await stored()).toEqual(both);
  expect(inside).toEqual(before);
});

test('a store that is made with a transaction works in it', async () => {
  await database.inTransaction((tx) => make(tx, 'ws_tx'));
  const append = async (tx: Transaction) => {
    const event = prepareEvent({
      workspaceId: 'ws_tx',
      type: 'appended.inside',
      payload: {},
      idempotencyKey: undefined,
    });
    const limits = { lockMsMax: 250, timeoutMs: 5_000 };
    const [row] = await createEventStore(tx).append([event], [0], limits);
    return row;
  };
  const undone = database.inTransaction(async (tx) => {
    expect(await append(tx)).toMatchObject({ kind: 'created', event: { sequence: 1 } });
    throw new Error('undone');
  });
  await expect(undone).rejects.toThrow('undone');
  // The number was given back.
  const kept = await database.inTransaction(append);
  expect(kept).toMatchObject({ kind: 'created', event: { sequence: 1 } });
});

test('what was persisted as an entity is written before the commit', async () => {
  await database.inTransaction(async ({ em }) => {
    em.create(WorkspaceEntity, { id: 'ws_tx', displayName: '', createdAt: new Date() });
  });
  expect(await stored()).toMatchObject({ workspaces: ['ws_tx'] });
});

test('an error in the work is passed on, nothing was written, and the connection serves the next', async () => {
  const before = await pid();
  const refused = new Error('refused');
  const work = database.inTransaction(async (tx) => {
    await make(tx, 'ws_tx');
    throw refused;
  });
  await expect(work).rejects.toBe(refused);
  expect(await stored()).toEqual(nothing);
  expect(await pid()).toEqual(before);
});

test('a failed statement that the work keeps to itself is not taken for a commit', async () => {
  const work = database.inTransaction(async (tx) => {
    await make(tx, 'ws_tx');
    await make(tx, 'ws_tx').catch(() => undefined);
  });
  await expect(work).rejects.toThrow('nothing was committed');
  expect(await stored()).toEqual(nothing);
});

test('a part of its own can fail, and the rest is written', async () => {
  await database.inTransaction(async (tx) => {
    await make(tx, 'ws_tx');
    const part = tx.em.transactional(async (em) => {
      await em.insert(WorkspaceEntity, { id: 'ws_tx', displayName: '', createdAt: new Date() });
    });
    await expect(part).rejects.toThrow('duplicate key');
  });
  expect(await stored()).toEqual(both);
});

test('what the work leaves running is not written after its end', async () => {
  let leftRunning: Transaction | undefined;
  await database.inTransaction(async (tx) => {
    await make(tx, 'ws_tx');
    leftRunning = tx;
  });
  await expect(leftRunning?.run(note, [textArray(['ws_late'])])).rejects.toThrow('has ended');
  await expect(leftRunning?.em.count(WorkspaceEntity)).rejects.toThrow('has ended');
  expect(await stored()).toEqual(both);
});

test('a connection that is lost in the work leaves nothing, and it is told that nothing was written', async () => {
  const work = database.inTransaction(async (tx) => {
    await make(tx, 'ws_tx');
    const [session] = await tx.run<{ pid: number }>(readPid, []);
    await testDatabase.query('select pg_terminate_backend($1)', [session?.pid]);
    await tx.em.count(WorkspaceEntity);
  });
  await expect(work).rejects.toMatchObject({ name: 'DatabaseUnavailable', sent: false });
  expect(await stored()).toEqual(nothing);
  expect(await pid()).toHaveLength(1);
});

test('a commit whose answer is lost is told as one whose outcome is unknown', async () => {
  const cut = proxy.loseAnswerTo('commit', 'COMMIT');
  const work = database.inTransaction((tx) => make(tx, 'ws_tx'));
  await expect(work).rejects.toMatchObject({ name: 'DatabaseUnavailable', sent: true });
  await cut;
  expect(await stored()).toEqual(both);
  expect(await pid()).toHaveLength(1);
});

test('work that goes on for too long is rolled back, and nothing that it does then is written', async () => {
  const before = await pid();
  const late = Promise.withResolvers<void>();
  const after = Promise.withResolvers<unknown>();
  const work = database.inTransaction(async (tx) => {
    await make(tx, 'ws_tx');
    await late.promise;
    await make(tx, 'ws_late').catch(after.resolve);
  }, 200);
  await expect(work).rejects.toMatchObject({ name: 'DatabaseUnavailable', sent: false });
  late.resolve();
  expect(await after.promise).toMatchObject({ message: expect.stringContaining('has ended') });
  expect(await stored()).toEqual(nothing);
  expect(await pid()).not.toEqual(before);
});

test('a connection on which nothing comes back any more is given up in time, also in the commit', async () => {
  const silent = database.inTransaction(async (tx) => {
    proxy.swallow();
    await make(tx, 'ws_tx');
  }, 200);
  await expect(silent).rejects.toMatchObject({ name: 'DatabaseUnavailable', sent: false });
  const unsure = database.inTransaction(async (tx) => {
    await make(tx, 'ws_tx');
    proxy.swallow();
  }, 500);
  await expect(unsure).rejects.toMatchObject({ name: 'DatabaseUnavailable', sent: true });
  expect(await pid()).toHaveLength(1);
});

test('the wait for a connection is part of the time, and the work has not begun then', async () => {
  const client = await database.connect();
  const work = database.inTransaction((tx) => make(tx, 'ws_tx'), 100);
  await expect(work).rejects.toMatchObject({ name: 'DatabaseUnavailable', sent: false });
  client.release();
  expect(await pid()).toHaveLength(1);
  expect(await stored()).toEqual(nothing);
});

test.each([
  ['entity', (tx: Transaction) => make(tx, 'ws_tx')],
  ['statement', (tx: Transaction) => tx.run(note, [textArray(['ws_tx'])])],
])(
  'a lock that is not to be had is told of a query by %s, and the connection serves the next',
  async (_, work: (tx: Transaction) => Promise<unknown>) => {
    const before = await pid();
    const holder = await testDatabase.connect();
    await holder.query('begin');
    await holder.query('lock table workspaces, notes');
    const contended = database.inTransaction(work);
    await expect(contended).rejects.toMatchObject({ name: 'DatabaseContended' });
    await holder.end();
    expect(await stored()).toEqual(nothing);
    expect(await pid()).toEqual(before);
  },
);

test('a session that is of no use is replaced, and nobody hears of it', async () => {
  await pid();
  const client = await database.connect();
  await client.query('set default_transaction_read_only = on');
  client.release();
  await database.inTransaction((tx) => make(tx, 'ws_tx'));
  expect(await stored()).toEqual(both);
});
