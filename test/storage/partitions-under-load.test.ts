import { expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { createEventPartitions } from '../../src/database/partitions/event-partitions.ts';
import { partitionsFrom } from '../../src/database/partitions/period.ts';
import { prepareEvent } from '../../src/events/event.ts';
import { createAppendQueue, createEventStore } from '../../src/events/index.ts';
import { makePartition } from '../support/partitions.ts';
import { createTestDatabase } from '../support/test-database.ts';

test('while partitions are made and removed, no append and no read fails', async () => {
  const testDatabase = await createTestDatabase();
  await testDatabase.query(
    `insert into workspaces (id, display_name, created_at) values ('ws_1', '', now())`,
  );
  const options = { poolSize: 8, applicationName: 'test', onNotice: () => undefined };
  const database = await openDatabase({ url: testDatabase.url, ...options });
  const partitions = createEventPartitions(database);
  const store = createEventStore(database.statements);
  const queue = createAppendQueue(store);
  const event = { workspaceId: 'ws_1', type: 'tested', payload: {}, idempotencyKey: undefined };
  let isOver = false;
  const created: string[] = [];
  const work = Array.from({ length: 6 }, async () => {
    while (!isOver) {
      const { event: stored } = await queue.append(prepareEvent(event));
      created.push(stored.id);
      const asked = created.slice(-20);
      const { events } = await store.read(asked, 5_000);
      expect([...events.keys()].toSorted()).toEqual(asked.toSorted());
    }
  });
  const [, , , last] = partitionsFrom('quarter', new Date(), 3);
  const rounds = async () => {
    for (let year = 2000; year < 2005; year++) {
      const past = await makePartition(testDatabase, new Date(Date.UTC(year, 0)));
      await testDatabase.query(`alter table events detach partition ${last?.name} concurrently`);
      await testDatabase.query(`drop table ${last?.name}`);
      expect(await partitions.retire(past)).toBe(true);
      expect((await partitions.list()).at(-1)?.name).toBe(last?.name);
    }
  };
  await rounds().finally(() => {
    isOver = true;
  });
  await Promise.all(work);
  const [counted] = await testDatabase.query<{ count: number; last: number }>(
    'select count(*)::int, max(sequence)::int as last from events',
  );
  expect(counted).toEqual({ count: created.length, last: created.length });
  expect(created.length).toBeGreaterThan(10);
  await database.close();
  await testDatabase.drop();
}, 60_000);
