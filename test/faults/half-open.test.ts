import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { createNotifications } from '../../src/database/notifications.ts';
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
let proxy: PostgresProxy;
let database: Database;

beforeEach(async () => {
  testDatabase = await createTestDatabase();
  proxy = await startPostgresProxy(testDatabase.url);
  database = await openDatabase({
    url: proxy.url,
    poolSize: 2,
    applicationName: 'harbor-test',
    onNotice: () => undefined,
  });
});

afterEach(async () => {
  await database.close();
  await proxy.stop();
  await testDatabase.drop();
});

const tell = (text: string) =>
  testDatabase.query(`select pg_notify('harbor_half_open', $1)`, [text]);

test('where the network has dropped the connection that listens, the first question notices, and the next round listens anew', async () => {
  const heard: string[] = [];
  const { keepListening, close } = createNotifications(database, {
    channel: 'harbor_half_open',
    onMessage: (text) => void heard.push(text),
    askAfterMs: 0,
    answerTimeoutMs: 300,
  });
  await keepListening();
  await tell('before');
  await expect.poll(() => heard).toEqual(['before']);
  // It is asked, answers, and goes on.
  await keepListening();

  proxy.swallow();
  await tell('lost');
  await expect(keepListening()).rejects.toThrow('nobody answers where it listens');
  await keepListening();
  await tell('after');
  await expect.poll(() => heard).toEqual(['before', 'after']);
  close();
});

test('a LISTEN that is never answered does not hold up the round, nor the next one', async () => {
  const { keepListening, close } = createNotifications(database, {
    channel: 'harbor_half_open',
    onMessage: () => undefined,
    answerTimeoutMs: 300,
  });
  const client = await database.connect();
  client.release();
  proxy.swallow();
  await expect(keepListening()).rejects.toThrow('nobody answers where it listens');
  await keepListening();
  close();
});

test('a session that was heard from of late is not asked', async () => {
  let asked = 0;
  const { keepListening, close } = createNotifications(
    {
      statements: database.statements,
      async connect() {
        const client = await database.connect();
        const query = client.query.bind(client) as (...args: unknown[]) => unknown;
        Object.assign(client, {
          query(...args: unknown[]) {
            asked++;
            return query(...args);
          },
        });
        return client;
      },
    },
    { channel: 'harbor_half_open', onMessage: () => undefined },
  );
  await keepListening();
  await keepListening();
  expect(asked).toBe(1);
  close();
});
