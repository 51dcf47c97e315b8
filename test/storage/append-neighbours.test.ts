import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Appended, type PreparedEvent, prepareEvent } from '../../src/events/event.ts';
import {
  AppendContended,
  AppendQueueFull,
  EventWorkspaceMissing,
} from '../../src/events/event-errors.ts';
import {
  type AppendQueue,
  createAppendQueue,
  createEventStore,
  type EventStore,
} from '../../src/events/index.ts';
import { countStatements } from '../support/counted-store.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';

let opened: TestLogStore;
let store: EventStore;
/** Holds locks; what it holds ends with each test. */
let holder: pg.Client;

beforeAll(async () => {
  opened = await openTestLogStore();
  store = createEventStore(opened.database.statements);
  await opened.testDatabase.query(
    `insert into workspaces (id, display_name, created_at)
     select kind || '_' || n, '', now()
     from unnest(array['ws_stuck', 'ws_free']) kind, generate_series(1, 60) n`,
  );
  holder = await opened.testDatabase.connect();
});
afterEach(async () => {
  await holder.query('rollback');
  await opened.testDatabase.query('truncate idempotency_keys');
});
afterAll(async () => {
  await holder.end();
  await opened.stop();
});

function event(workspaceId: string, idempotencyKey?: string, payload = {}): PreparedEvent {
  return prepareEvent({ workspaceId, type: 'tested', payload, idempotencyKey });
}

async function lockCounters(pattern: string): Promise<void> {
  await holder.query('begin');
  await holder.query('select from workspaces where id like $1 for update', [pattern]);
}

/** Creates that are told of as they end. */
function appendAll(queue: AppendQueue, events: readonly PreparedEvent[]) {
  const creates = events.map((one) => {
    const create = { state: 'pending', answer: queue.append(one) };
    create.answer.then(
      () => (create.state = 'stored'),
      () => (create.state = 'refused'),
    );
    return create;
  });
  return {
    states: () => [...new Set(creates.map(({ state }) => state))],
    answers: (): Promise<Appended[]> => Promise.all(creates.map(({ answer }) => answer)),
  };
}

const sixty = (kind: string) => Array.from({ length: 60 }, (_, n) => event(`${kind}_${n + 1}`));

test('sixty locked workspaces delay none of the others in their batch, and are written once they are free', async () => {
  const counted = countStatements(store);
  const queue = createAppendQueue(counted);
  await lockCounters('ws_stuck%');
  const stuck = appendAll(queue, sixty('ws_stuck'));
  const free = appendAll(queue, sixty('ws_free'));
  await free.answers();
  expect(stuck.states()).toEqual(['pending']);
  // The one that met the locks, the one without them, and detours that had begun.
  expect(counted.appends).toBeLessThan(10);
  await holder.query('rollback');
  expect(await stuck.answers()).toHaveLength(60);
});

test('workspaces that are known to be locked stay out of the batches of the others', async () => {
  const queue = createAppendQueue(store);
  await lockCounters('ws_stuck%');
  const stuck = appendAll(queue, sixty('ws_stuck'));
  await appendAll(queue, [event('ws_free_1')]).answers();
  for (let round = 0; round < 50; round++) {
    const more = appendAll(queue, [event('ws_stuck_1'), event(`ws_stuck_${round + 2}`)]);
    await appendAll(queue, [event('ws_free_1'), event('ws_free_2')]).answers();
    expect([...stuck.states(), ...more.states()]).toEqual(['pending', 'pending']);
  }
  await holder.query('rollback');
  await stuck.answers();
});

test('creates of a workspace that stays locked fail and say so, and its next ones are stored once it is free', async () => {
  const queue = createAppendQueue(store, { patience: { turnMsMax: 500, answerMsMax: 10_000 } });
  await lockCounters('ws_stuck_1');
  await expect(queue.append(event('ws_stuck_1'))).rejects.toThrow(AppendContended);
  await holder.query('rollback');
  await expect(queue.append(event('ws_stuck_1'))).resolves.toMatchObject({ replayed: false });
});

test('a locked idempotency key delays neither other workspaces nor the other keys of its own', async () => {
  const queue = createAppendQueue(store);
  await holder.query('begin');
  await holder.query(
    `insert into idempotency_keys (workspace_id, key, event_id, fingerprint, created_at, expires_at)
     values ('ws_stuck_1', 'key 30', gen_random_uuid(), '', now(), now() + interval '1 day')`,
  );
  const stuck = appendAll(queue, [event('ws_stuck_1', 'key 30')]);
  const own = appendAll(
    queue,
    Array.from({ length: 60 }, (_, n) => event('ws_stuck_1', `key ${n < 30 ? n : n + 1}`)),
  );
  const free = appendAll(queue, sixty('ws_free'));
  await Promise.all([own.answers(), free.answers()]);
  expect(stuck.states()).toEqual(['pending']);
  await holder.query('rollback');
  await expect(stuck.answers()).resolves.toMatchObject([{ replayed: false }]);
});

test('while a whole table is locked, as by a migration, creates wait for it and are then stored', async () => {
  const queue = createAppendQueue(store);
  await holder.query('begin');
  await holder.query('lock table workspaces in access exclusive mode');
  const creates = appendAll(queue, sixty('ws_free'));
  // An inspection waits for a second.
  const inspection = store.inspectCounters(['ws_free_1'], 10_000);
  await expect(inspection).rejects.toThrow(AppendContended);
  expect(creates.states()).toEqual(['pending']);
  await holder.query('rollback');
  expect(await creates.answers()).toHaveLength(60);
});

test('500 creates of a missing workspace cost three statements, and none of their neighbours', async () => {
  const counted = countStatements(store);
  const queue = createAppendQueue(counted);
  const missing = Array.from({ length: 400 }, () => queue.append(event('ws_gone')));
  const free = appendAll(queue, sixty('ws_free'));
  const outcomes = await Promise.allSettled(missing);
  await free.answers();
  expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason)).toEqual(
    Array.from({ length: 400 }, () => expect.any(EventWorkspaceMissing)),
  );
  expect(counted.appends).toBeLessThanOrEqual(3);
});

test('rows that the database refuses are found by halving, of their own workspace only, and not for ever', async () => {
  const counted = countStatements(store);
  const queue = createAppendQueue(counted);
  const poison = { ...event('ws_stuck_1'), payloadJson: '{"half":' };
  const poisoned = appendAll(
    queue,
    Array.from({ length: 400 }, () => poison),
  );
  const free = appendAll(queue, sixty('ws_free'));
  await free.answers();
  await expect.poll(poisoned.states).toEqual(['refused']);
  expect(counted.appends).toBeLessThan(100);
});

/** Creates until the queue takes no more; none of them can be written. */
async function flood(queue: AppendQueue, workspaceId: string, payload = {}): Promise<number> {
  let waiting = 0;
  let refusal: unknown;
  const onRefused = (reason: unknown) => {
    if (reason instanceof AppendQueueFull) refusal = reason;
  };
  const one = event(workspaceId, undefined, payload);
  for (; refusal === undefined && waiting < 100_000; waiting++) {
    queue.append(one).catch(onRefused);
    if (waiting % 100 === 0) await Promise.resolve();
  }
  await Promise.resolve();
  expect(refusal).toBeInstanceOf(AppendQueueFull);
  return waiting;
}

test.each([
  ['rows', {}],
  ['bytes', { note: 'n'.repeat(200_000) }],
])(
  'a workspace that floods is refused, and leaves room in %s for others, for two that flood as well',
  async (_, payload) => {
    const queue = createAppendQueue(store, { patience: { turnMsMax: 1_500, answerMsMax: 10_000 } });
    await lockCounters('ws_stuck%');
    const first = await flood(queue, 'ws_stuck_1', payload);
    const second = await flood(queue, 'ws_stuck_2', payload);
    expect(first).toBeGreaterThan(second);
    const others = Array.from({ length: 50 }, (__, n) =>
      event(`ws_free_${n + 1}`, `${n}`, payload),
    );
    await expect(appendAll(queue, others).answers()).resolves.toHaveLength(50);
    await queue.drained();
  },
);

test('a create of another workspace is stored with the next batch, however many wait before it', async () => {
  const queue = createAppendQueue(store);
  let answered = 0;
  const flooding = Array.from({ length: 7_000 }, () =>
    queue.append(event('ws_free_1')).then(() => answered++),
  );
  await flooding[0];
  const before = answered;
  await queue.append(event('ws_free_2'));
  // What was in flight, and at most the one that begins with it.
  expect(answered - before).toBeLessThanOrEqual(1_000);
  await Promise.all(flooding);
});
