import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { DatabaseUnavailable } from '../../src/database-unavailable.ts';
import { type PreparedEvent, prepareEvent } from '../../src/events/event.ts';
import { createAppendQueue, createEventStore, type EventStore } from '../../src/events/index.ts';
import { countStatements } from '../support/counted-store.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';

let opened: TestLogStore;
let store: EventStore;
/** Holds locks; what it holds ends with each test. */
let holder: pg.Client;

beforeAll(async () => {
  opened = await openTestLogStore();
  for (let n = 0; n < 9; n++) await opened.newWorkspace();
  store = createEventStore(opened.database.statements);
  holder = await opened.testDatabase.connect();
});
afterEach(async () => void (await holder.query('rollback')));
afterAll(async () => {
  await holder.end();
  await opened.stop();
});

function event(workspaceId: string, idempotencyKey?: string): PreparedEvent {
  return prepareEvent({ workspaceId, type: 'tested', payload: {}, idempotencyKey });
}

async function countEvents(workspaceId: string): Promise<number> {
  const rows = await opened.testDatabase.query('select from events where workspace_id = $1', [
    workspaceId,
  ]);
  return rows.length;
}

/** The first append is stored, and its answer lost after what `meanwhile` does. */
function loseFirstAnswer(meanwhile: () => Promise<void> = async () => undefined) {
  let appends = 0;
  return countStatements({
    ...store,
    async append(...values) {
      const rows = await store.append(...values);
      if (++appends > 1) return rows;
      await meanwhile();
      throw new DatabaseUnavailable('the answer was lost', { sent: true });
    },
  });
}

/** So that asking again for `key` meets a lock, and a look at the counters finds its workspace locked. */
async function lock(workspaceId: string, key: string): Promise<void> {
  await holder.query('begin');
  await holder.query('select from idempotency_keys where key = $1 for update', [key]);
  await holder.query('select from workspaces where id = $1 for update', [workspaceId]);
}

test('a create without a key is not written again after its answer was lost, whatever its neighbours meet', async () => {
  const queue = createAppendQueue(loseFirstAnswer(() => lock('ws_log2', 'stuck')));
  const keyless = queue.append(event('ws_log1'));
  const stuck = queue.append(event('ws_log2', 'stuck'));
  const neighbour = queue.append(event('ws_log3', 'neighbour'));
  await expect(keyless).rejects.toMatchObject({ name: 'DatabaseUnavailable', sent: true });
  await expect(neighbour).resolves.toMatchObject({ replayed: true });
  await holder.query('rollback');
  await expect(stuck).resolves.toMatchObject({ replayed: true });
  expect(await countEvents('ws_log1')).toBe(1);
});

test('where nobody has a key, a lost answer is followed by no other statement', async () => {
  const lossy = loseFirstAnswer();
  const queue = createAppendQueue(lossy);
  const creates = [queue.append(event('ws_log5')), queue.append(event('ws_log6'))];
  for (const { reason } of (await Promise.allSettled(creates)) as PromiseRejectedResult[]) {
    expect(reason).toMatchObject({ name: 'DatabaseUnavailable', sent: true });
  }
  await queue.drained();
  expect(lossy.appends).toBe(1);
  await expect(queue.append(event('ws_log5'))).resolves.toMatchObject({ event: { sequence: 2 } });
});

test('who leaves while it waits again after a lost answer is not told that nothing was stored', async () => {
  const leaving = new AbortController();
  const lossy = loseFirstAnswer(() => lock('ws_log7', 'left'));
  let areLocked = false;
  const queue = createAppendQueue({
    ...store,
    append(...values) {
      const [events] = values;
      return (events[0]?.idempotencyKey === 'left' ? lossy : store).append(...values);
    },
    async inspectCounters(...values) {
      const counters = await store.inspectCounters(...values);
      // Put back by then, and not sent again while two others take the ways around.
      if (values[0].includes('ws_log7')) setImmediate(() => leaving.abort());
      else areLocked = true;
      return counters;
    },
  });
  const other = await opened.testDatabase.connect();
  await other.query('begin');
  await other.query(`select from workspaces where id in ('ws_log8', 'ws_log9') for update`);
  const others = [queue.append(event('ws_log8')), queue.append(event('ws_log9'))];
  await expect.poll(() => areLocked).toBe(true);
  const create = queue.append(event('ws_log7', 'left'), leaving.signal);
  await expect(create).rejects.toMatchObject({ name: 'AppendAbandoned', sent: true });
  expect(await countEvents('ws_log7')).toBe(1);
  await other.query('rollback');
  await other.end();
  await Promise.all(others);
});
