import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { prepareEvent } from '../../src/events/event.ts';
import { EventWorkspaceMissing } from '../../src/events/event-errors.ts';
import {
  type AppendQueue,
  appendOwnEvent,
  createAppendQueue,
  createEventStore,
  type OwnEvent,
} from '../../src/events/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
let database: Database;
let queue: AppendQueue;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = await openDatabase({
    url: testDatabase.url,
    poolSize: 8,
    applicationName: 'test',
    onNotice: () => undefined,
  });
  queue = createAppendQueue(createEventStore(database.statements));
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

let workspaces = 0;
async function newWorkspace(): Promise<string> {
  const id = `ws_own${++workspaces}`;
  await testDatabase.query(
    `insert into workspaces (id, display_name, created_at) values ($1, '', now())`,
    [id],
  );
  return id;
}

const tested = (workspaceId: string, key: string): OwnEvent => ({
  workspaceId,
  type: 'harbor.tested',
  payload: { key },
  key,
});
const appendOwn = (event: OwnEvent) => database.inTransaction((tx) => appendOwnEvent(tx, event));
const create = (workspaceId: string, idempotencyKey?: string) =>
  queue.append(prepareEvent({ workspaceId, type: 'tested', payload: {}, idempotencyKey }));

const logOf = (workspaceId: string) =>
  testDatabase.query(
    `select sequence::int, type, payload::text, api_key_id from events
    where workspace_id = $1 order by sequence`,
    [workspaceId],
  );

test('an event of the service itself has the next number of the log, and no key that recorded it', async () => {
  const workspaceId = await newWorkspace();
  await create(workspaceId);
  const event = await appendOwn(tested(workspaceId, 'one'));
  await create(workspaceId);
  expect(event).toMatchObject({ workspaceId, type: 'harbor.tested', sequence: 2 });
  expect(await logOf(workspaceId)).toEqual([
    { sequence: 1, type: 'tested', payload: '{}', api_key_id: null },
    { sequence: 2, type: 'harbor.tested', payload: '{"key":"one"}', api_key_id: null },
    { sequence: 3, type: 'tested', payload: '{}', api_key_id: null },
  ]);
});

test('it is recorded with the rest of its transaction or not at all, and gives its number back', async () => {
  const workspaceId = await newWorkspace();
  const failing = database.inTransaction(async (tx) => {
    expect(await appendOwnEvent(tx, tested(workspaceId, 'undone'))).toMatchObject({ sequence: 1 });
    throw new Error('undone');
  });
  await expect(failing).rejects.toThrow('undone');
  expect(await logOf(workspaceId)).toEqual([]);
  expect(await appendOwn(tested(workspaceId, 'undone'))).toMatchObject({ sequence: 1 });
});

test('of all who come with the same key one records it', async () => {
  const workspaceId = await newWorkspace();
  const outcomes = await Promise.all(
    Array.from({ length: 6 }, () => appendOwn(tested(workspaceId, 'once'))),
  );
  expect(outcomes.filter((event) => event !== undefined)).toHaveLength(1);
  expect(await logOf(workspaceId)).toHaveLength(1);
});

test("a caller's idempotency key is another one, whatever it says", async () => {
  const workspaceId = await newWorkspace();
  await create(workspaceId, 'shared');
  expect(await appendOwn(tested(workspaceId, 'shared'))).toMatchObject({ sequence: 2 });
  expect(await create(workspaceId, 'shared')).toMatchObject({ replayed: true });
});

test('in a workspace that is not there nothing is recorded, and the caller learns why', async () => {
  await expect(appendOwn(tested('ws_gone', 'lost'))).rejects.toBeInstanceOf(EventWorkspaceMissing);
});
