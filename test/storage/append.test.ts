import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { type PreparedEvent, prepareEvent } from '../../src/events/event.ts';
import { AppendContended, EventWorkspaceMissing } from '../../src/events/event-errors.ts';
import { createAppendQueue, createEventStore, type EventStore } from '../../src/events/index.ts';
import { startPostgresProxy } from '../support/postgres-proxy.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
let database: Database;
let store: EventStore;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = await open(testDatabase.url);
  store = createEventStore(database.statements);
  await testDatabase.query(
    `insert into workspaces (id, display_name, created_at)
     select 'ws_' || n, '', now() from generate_series(1, 20) n`,
  );
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

function open(url: string): Promise<Database> {
  return openDatabase({ url, poolSize: 12, applicationName: 'test', onNotice: () => undefined });
}

function event(workspaceId: string, idempotencyKey?: string, payload = {}): PreparedEvent {
  return prepareEvent({ workspaceId, type: 'tested', payload, idempotencyKey });
}

async function countEvents(): Promise<number> {
  const [row] = await testDatabase.query<{ count: string }>('select count(*) from events');
  return Number(row?.count);
}

/** Every workspace is numbered without a gap, and together they hold `added` events more than `before`. */
async function assertNoGaps(before: number, added: number): Promise<void> {
  const gaps = await testDatabase.query(
    `select w.id from workspaces w left join events e on e.workspace_id = w.id
     group by w.id, w.last_sequence
     having count(e.id) <> w.last_sequence or coalesce(max(e.sequence), 0) <> w.last_sequence`,
  );
  expect(gaps).toEqual([]);
  expect(await countEvents()).toBe(before + added);
}

test('a missing workspace is refused and its neighbours in the batch are stored', async () => {
  const before = await countEvents();
  const queue = createAppendQueue(store);
  const outcomes = await Promise.allSettled(
    ['ws_1', 'ws_gone', 'ws_2', 'ws_gone', 'ws_1'].map((id) => queue.append(event(id))),
  );
  expect(outcomes.map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'rejected',
    'fulfilled',
  ]);
  expect(outcomes[1]).toMatchObject({ reason: expect.any(EventWorkspaceMissing) });
  await assertNoGaps(before, 3);
});

test('a row that the database cannot take is refused and its neighbours are stored', async () => {
  const before = await countEvents();
  const queue = createAppendQueue(store);
  const poison = { ...event('ws_1'), payloadJson: '{"half":' };
  const good = Array.from({ length: 30 }, () => event('ws_1'));
  const outcomes = await Promise.allSettled(
    [...good.slice(0, 11), poison, ...good.slice(11)].map((one) => queue.append(one)),
  );
  expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  expect(outcomes[11]?.status).toBe('rejected');
  await assertNoGaps(before, 30);
});

test('an answer that was lost after the commit comes back as a replay of what was stored', async () => {
  const proxy = await startPostgresProxy(testDatabase.url);
  const proxied = await open(proxy.url);
  const queue = createAppendQueue(createEventStore(proxied.statements));
  await queue.append(event('ws_3'));
  const cut = proxy.loseAnswerTo('lost answer');
  const [appended] = await Promise.all([queue.append(event('ws_3', 'lost answer')), cut]);
  const stored = await testDatabase.query<{ id: string }>(
    `select event_id as id from idempotency_keys where key = 'lost answer'`,
  );
  const events = await testDatabase.query(`select id from events where workspace_id = 'ws_3'`);
  expect(events).toHaveLength(2);
  expect(stored).toHaveLength(1);
  expect(appended).toMatchObject({ replayed: true, event: { sequence: 2 } });
  await proxied.close();
  await proxy.stop();
});

test('without a key, an answer that was lost is not guessed: the create fails and says so', async () => {
  const proxy = await startPostgresProxy(testDatabase.url);
  const proxied = await open(proxy.url);
  const queue = createAppendQueue(createEventStore(proxied.statements));
  await queue.append(event('ws_4'));
  const cut = proxy.loseAnswerTo('keyless marker');
  const [outcome] = await Promise.allSettled([
    queue.append(event('ws_4', undefined, { note: 'keyless marker' })),
    cut,
  ]);
  expect(outcome).toMatchObject({ reason: { name: 'DatabaseUnavailable', sent: true } });
  await proxied.close();
  await proxy.stop();
});

/** Longer than a deadlock takes to be found. */
const limits = { lockMsMax: 5_000, timeoutMs: 10_000 };

/** Rounds of four batches at once over the same 200 keys and 20 workspaces; ends at an error. */
async function collide(
  name: string,
  roundsMax: number,
  order: (events: PreparedEvent[], flight: number) => PreparedEvent[],
): Promise<unknown[]> {
  const errors: unknown[] = [];
  for (let round = 0; round < roundsMax && errors.length === 0; round++) {
    const batch = Array.from({ length: 200 }, (_, index) =>
      event(`ws_${(index % 20) + 1}`, `${name} ${round} ${index}`),
    );
    const turns = batch.map((_, index) => index);
    const flights = Array.from({ length: 4 }, (_, flight) =>
      store.append(order(batch.slice(), flight), turns, limits),
    );
    for (const outcome of await Promise.allSettled(flights)) {
      if (outcome.status === 'rejected') errors.push(outcome.reason);
    }
  }
  return errors;
}

const bytewise = (a: PreparedEvent, b: PreparedEvent) =>
  `${a.workspaceId} ${a.idempotencyKey}` < `${b.workspaceId} ${b.idempotencyKey}` ? -1 : 1;

test('sorted batches over the same keys and workspaces never deadlock', async () => {
  const before = await countEvents();
  expect(await collide('sorted', 12, (events) => events.sort(bytewise))).toEqual([]);
  // 200 keys a round, however many batches bring them.
  await assertNoGaps(before, 12 * 200);
});

test('unsorted batches do deadlock: the order of the keys is what prevents it', async () => {
  const errors = await collide('unsorted', 200, (events, flight) => {
    const sorted = events.sort(bytewise);
    return flight % 2 === 0 ? sorted : sorted.reverse();
  });
  expect(errors).toContainEqual(expect.any(AppendContended));
});
