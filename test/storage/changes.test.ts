import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
/** With as few connections as a process may have. */
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
});
beforeEach(async () => {
  database = await openDatabase({
    url: testDatabase.url,
    poolSize: 6,
    applicationName: 'harbor-changes',
    onNotice: () => undefined,
  });
});
afterEach(() => database.close());
afterAll(() => testDatabase.drop());

const ping = { name: 'test_ping', text: 'select 1' };

/** Changes that note when they begin and end, and go on until they are let go. */
function createWork() {
  const order: string[] = [];
  const letGo = Promise.withResolvers<void>();
  let running = 0;
  let mostRunning = 0;
  const change = (by: string, name: string) =>
    database.change(by, async (tx) => {
      order.push(name);
      running++;
      mostRunning = Math.max(mostRunning, running);
      await tx.run(ping, []);
      await letGo.promise;
      running--;
    });
  return { order, change, letGo: letGo.resolve, mostRunning: () => mostRunning };
}

test('the changes of one asker go one after another, in the order in which they were asked for', async () => {
  const { order, change, letGo, mostRunning } = createWork();
  letGo();
  const names = Array.from({ length: 20 }, (_, n) => `a${n}`);
  await Promise.all(names.map((name) => change('a', name)));
  expect(order).toEqual(names);
  expect(mostRunning()).toBe(1);
});

test('of all askers two are served at once, and none waits behind a crowd of another', async () => {
  const { order, change, letGo, mostRunning } = createWork();
  const crowd = Array.from({ length: 30 }, (_, n) => change('crowd', `crowd${n}`));
  const others = ['b', 'c', 'd'].map((by) => change(by, by));
  await expect.poll(() => order.toSorted()).toEqual(['b', 'crowd0']);
  letGo();
  await Promise.all([...crowd, ...others]);
  expect(mostRunning()).toBe(2);
  expect(order.slice(0, 8)).toEqual(expect.arrayContaining(['b', 'c', 'd']));
  expect(order).toHaveLength(33);
});

test('whoever waits for 3 seconds in which nothing ends is told so, and nothing of his was written', async () => {
  const { order, change, letGo } = createWork();
  const first = change('a', 'first');
  await expect(change('a', 'second')).rejects.toMatchObject({
    name: 'DatabaseUnavailable',
    sent: false,
  });
  letGo();
  await first;
  await change('a', 'third');
  expect(order).toEqual(['first', 'third']);
});

test('a change that fails lets the next one go', async () => {
  const failed = database.change('a', async () => {
    throw new Error('refused');
  });
  const next = database.change('a', (tx) => tx.run(ping, []));
  await expect(failed).rejects.toThrow('refused');
  expect(await next).toHaveLength(1);
});
