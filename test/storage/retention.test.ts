import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { createEventPartitions } from '../../src/database/partitions/event-partitions.ts';
import type { StatementRunner } from '../../src/database/statements.ts';
import { prepareEvent } from '../../src/events/event.ts';
import { createAppendQueue, createEventStore } from '../../src/events/index.ts';
import { leftForDropUntil, maybePast } from '../../src/events/retention/left-for-drop.ts';
import { createRetention, type Retention } from '../../src/events/retention/retention.ts';
import { createRetentionStore } from '../../src/events/retention/retention-store.ts';
import { createLogClient } from '../support/log-wires.ts';
import { makePartition, uuidSqlAt } from '../support/partitions.ts';
import { range } from '../support/subscriber.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService } from '../support/test-service.ts';

let testDatabase: TestDatabase;
let database: Database;
let retention: Retention;
const forgotten: string[] = [];
const retired: string[] = [];
const never = new AbortController().signal;

/** Workspaces of which another feature has something. */
const keptElsewhere = new Set<string>();

const openRetention = (over: Partial<Database> = {}) =>
  createRetention({
    store: createRetentionStore({ ...database, ...over }),
    partitions: createEventPartitions(database),
    hasLeft: async (id) => keptElsewhere.has(id),
    report: {
      onPartitionRetired: (name) => void retired.push(name),
      onWorkspaceForgotten: (id) => void forgotten.push(id),
    },
  });

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = await openDatabase({
    url: testDatabase.url,
    poolSize: 8,
    applicationName: 'test',
    onNotice: () => undefined,
  });
  // Of every time in which the tests below have events.
  for (const months of [30, 15, 6, 3]) await makePartition(testDatabase, monthsAgo(months));
});
beforeEach(() => {
  retention = openRetention();
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

function monthsAgo(months: number): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 1));
}

let workspaces = 0;
/** A workspace with an event of each age, in days, the oldest first. */
async function newWorkspace(
  retentionDays: number | null,
  agesInDays: readonly number[],
): Promise<string> {
  const id = `ws_retained${++workspaces}`;
  await testDatabase.query(
    `insert into workspaces (id, display_name, created_at, retention_days, last_sequence)
     values ($1, '', now(), $2, $3)`,
    [id, retentionDays, agesInDays.length],
  );
  await testDatabase.query(
    `insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
     select ${uuidSqlAt(`now() - age * interval '24 hours'`)}, $1, place, 'aged', '{}', 2,
       now() - age * interval '24 hours'
     from unnest($2::float8[]) with ordinality as t (age, place)`,
    [id, agesInDays],
  );
  return id;
}
const setRetention = (id: string, days: number | null) =>
  testDatabase.query('update workspaces set retention_days = $2 where id = $1', [id, days]);
/** Some time ago, unless said otherwise. */
const deleteWorkspace = (id: string, minutesAgo = 2) =>
  testDatabase.query(
    "update workspaces set deleted_at = now() - $2::int * interval '1 minute' where id = $1",
    [id, minutesAgo],
  );
async function floorOf(id: string): Promise<number | undefined> {
  const text = 'select first_sequence::int as floor from workspaces where id = $1';
  return (await testDatabase.query<{ floor: number }>(text, [id]))[0]?.floor;
}
async function rowsOf(id: string): Promise<number[]> {
  const text = 'select sequence::int from events where workspace_id = $1 order by sequence';
  const rows = await testDatabase.query<{ sequence: number }>(text, [id]);
  return rows.map(({ sequence }) => sequence);
}

describe('the floor', () => {
  test('moves past the events that are older than their workspace keeps them, by the database', async () => {
    const ages = [20, 10, 8, 7.001, 6.999, 3, 0];
    const [weekly, monthly, forEver] = [
      await newWorkspace(7, ages),
      await newWorkspace(30, ages),
      await newWorkspace(null, ages),
    ];
    await retention.moveFloors(never);
    expect([await floorOf(weekly), await floorOf(monthly), await floorOf(forEver)]).toEqual([
      5, 1, 1,
    ]);
    await retention.moveFloors(never);
    expect(await floorOf(weekly)).toBe(5);
  });

  test('is one past the last sequence when all of it is past, and moves on with what comes', async () => {
    const id = await newWorkspace(7, [30, 20, 10]);
    await retention.moveFloors(never);
    expect(await floorOf(id)).toBe(4);
    const queue = createAppendQueue(createEventStore(database.statements));
    const event = { workspaceId: id, type: 'next', payload: {}, idempotencyKey: undefined };
    expect((await queue.append(prepareEvent(event))).event.sequence).toBe(4);
    await retention.moveFloors(never);
    expect(await floorOf(id)).toBe(4);
  });

  test('never goes back, whatever the retention becomes', async () => {
    const id = await newWorkspace(7, [30, 20, 10, 1]);
    await retention.moveFloors(never);
    for (const days of [36_500, null, 15]) {
      await setRetention(id, days);
      await retention.moveFloors(never);
      expect(await floorOf(id)).toBe(4);
    }
  });

  test('is found in a long log, wherever the retention ends in it', async () => {
    for (const past of [0, 1, 2, 499, 500, 999, 1_000]) {
      const ages = range(1, 1_000).map((place) => (place <= past ? 9 : 5));
      const id = await newWorkspace(7, ages);
      await retention.moveFloors(never);
      expect(await floorOf(id)).toBe(past + 1);
    }
  });

  test('of a workspace whose row is held moves later, and keeps no other from moving', async () => {
    const [held, free] = [await newWorkspace(7, [9, 1]), await newWorkspace(7, [9, 1])];
    const holder = await testDatabase.connect();
    await holder.query('begin');
    await holder.query('select from workspaces where id = $1 for update', [held]);
    await retention.moveFloors(never);
    expect([await floorOf(held), await floorOf(free)]).toEqual([1, 2]);
    await holder.query('rollback');
    await holder.end();
    await retention.moveFloors(never);
    expect(await floorOf(held)).toBe(2);
  });

  test('of a workspace that creates never leave alone moves all the same', async () => {
    const id = await newWorkspace(7, [9, 1]);
    const queue = createAppendQueue(createEventStore(database.statements));
    const event = prepareEvent({
      workspaceId: id,
      type: 'busy',
      payload: {},
      idempotencyKey: undefined,
    });
    let isMoved = false;
    const creating = range(1, 8).map(async () => {
      while (!isMoved) await queue.append(event);
    });
    await retention.moveFloors(never);
    isMoved = true;
    await Promise.all(creating);
    expect(await floorOf(id)).toBe(2);
    await queue.drained();
  });
});

test('a service carries out the rounds by itself', async () => {
  const shared = await createTestDatabase();
  await makePartition(shared, monthsAgo(3));
  await shared.query(
    `insert into workspaces (id, display_name, created_at, retention_days, last_sequence)
     values ('ws_kept', '', now(), 7, 3)`,
  );
  await shared.query(
    `insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
     select ${uuidSqlAt(`now() - age * interval '24 hours'`)}, 'ws_kept', place, 'aged', '{}', 2,
       now() - age * interval '24 hours'
     from unnest(array[9, 8, 1]) with ordinality as t (age, place)`,
  );
  const service = await startTestService({}, shared);
  const list = async () => {
    const { events, firstSequence } = await createLogClient(service).listEvents({
      workspaceId: 'ws_kept',
    });
    return [firstSequence, events.length];
  };
  await expect.poll(list, { timeout: 10_000 }).toEqual([3n, 1]);
  await service.stop();
  await shared.drop();
});

describe('rows', () => {
  test('below the floors go, and none above', async () => {
    const [one, two] = [
      await newWorkspace(
        7,
        range(1, 300).map((place) => (place <= 200 ? 9 : 2)),
      ),
      await newWorkspace(null, [9, 9, 1]),
    ];
    await retention.moveFloors(never);
    expect(await retention.removeRows(never)).toBeGreaterThanOrEqual(200);
    expect(await rowsOf(one)).toEqual(range(201, 300));
    expect(await rowsOf(two)).toEqual([1, 2, 3]);
  });

  test('go when the retention was lifted after they were past', async () => {
    const id = await newWorkspace(7, [9, 9, 1]);
    await retention.moveFloors(never);
    await setRetention(id, null);
    await retention.removeRows(never);
    expect(await rowsOf(id)).toEqual([3]);
  });

  test('are looked for again only where a floor has moved', async () => {
    const ids = await Promise.all(range(1, 5).map(() => newWorkspace(7, [9, 6.9999, 1])));
    const asked: unknown[] = [];
    const statements: StatementRunner = database.statements;
    const counted = openRetention({
      statements,
      inTransaction: (work, timeoutMs) =>
        database.inTransaction(
          (tx) =>
            work({
              ...tx,
              run(statement, values) {
                if (statement.name === 'harbor_delete_past') asked.push(values);
                return tx.run(statement, values);
              },
            }),
          timeoutMs,
        ),
    });
    await counted.moveFloors(never);
    await counted.removeRows(never);
    expect(asked.length).toBeGreaterThan(0);
    asked.length = 0;
    await counted.removeRows(never);
    expect(asked).toEqual([]);
    await testDatabase.query('update workspaces set first_sequence = 3 where id = $1', [ids[2]]);
    await counted.removeRows(never);
    expect(asked).toHaveLength(1);
    expect(await rowsOf(ids[2] as string)).toEqual([3]);
  });

  test('go once, by however many processes, while everybody creates', async () => {
    const ids = await Promise.all(
      range(1, 4).map(() =>
        newWorkspace(
          7,
          range(1, 400).map((place) => (place <= 350 ? 9 : 1)),
        ),
      ),
    );
    const queue = createAppendQueue(createEventStore(database.statements));
    const rounds = range(1, 4).map(() => openRetention());
    await Promise.all(rounds.map((one) => one.moveFloors(never)));
    const creates = ids.flatMap((workspaceId) =>
      range(1, 50).map(() =>
        queue.append(
          prepareEvent({ workspaceId, type: 'new', payload: {}, idempotencyKey: undefined }),
        ),
      ),
    );
    const removed = await Promise.all(rounds.map((one) => one.removeRows(never)));
    await Promise.all(creates);
    // Whoever met another at it has left it to that one.
    const rest = await retention.removeRows(never);
    expect(removed.reduce((sum, count) => sum + count, rest)).toBe(4 * 350);
    for (const id of ids) expect(await rowsOf(id)).toEqual(range(351, 450));
  });

  test('that somebody holds wait for the next round, and the others go', async () => {
    const [held, free] = [await newWorkspace(7, [9, 9, 1]), await newWorkspace(7, [9, 9, 1])];
    await retention.moveFloors(never);
    const holder = await testDatabase.connect();
    await holder.query('begin');
    await holder.query('select from events where workspace_id = $1 for update', [held]);
    await retention.removeRows(never);
    await holder.query('rollback');
    await holder.end();
    await retention.removeRows(never);
    expect([await rowsOf(held), await rowsOf(free)]).toEqual([[3], [3]]);
  });

  test('stay when the round is told to end', async () => {
    const id = await newWorkspace(7, [9, 9, 1]);
    await retention.moveFloors(never);
    expect(await retention.removeRows(AbortSignal.abort())).toBe(0);
    expect(await rowsOf(id)).toEqual([1, 2, 3]);
    await retention.removeRows(never);
  });

  test('cannot be deleted by anybody who does not say that it is retention', async () => {
    const id = await newWorkspace(7, [9, 1]);
    const attempt = testDatabase.query('delete from events where workspace_id = $1', [id]);
    await expect(attempt).rejects.toThrow('events are immutable');
  });
});

describe('a workspace that was deleted', () => {
  test('goes with its events and idempotency keys, and its id is free again', async () => {
    const id = await newWorkspace(
      null,
      range(1, 120).map(() => 1),
    );
    const other = await newWorkspace(null, [1, 1]);
    const queue = createAppendQueue(createEventStore(database.statements));
    await Promise.all(
      [id, other].flatMap((workspaceId) =>
        range(1, 20).map((key) =>
          queue.append(
            prepareEvent({ workspaceId, type: 'keyed', payload: {}, idempotencyKey: `key ${key}` }),
          ),
        ),
      ),
    );
    await deleteWorkspace(id);
    await retention.removeRows(never);
    expect(await rowsOf(id)).toEqual([]);
    expect(await floorOf(id)).toBeUndefined();
    expect(forgotten).toContain(id);
    const keys = await testDatabase.query(
      'select workspace_id, count(*)::int from idempotency_keys where workspace_id = any($1) group by 1',
      [[id, other]],
    );
    expect(keys).toEqual([{ workspace_id: other, count: 20 }]);
    expect(await rowsOf(other)).toHaveLength(22);
  });

  test('stays while something of it is left', async () => {
    const id = await newWorkspace(null, [1, 1]);
    await deleteWorkspace(id);
    const store = createRetentionStore(database);
    expect(await store.forgetWorkspace(id)).toBe(false);
    expect(await floorOf(id)).toBe(1);
    await retention.removeRows(never);
    expect(await floorOf(id)).toBeUndefined();
  });

  test('keeps its id for a minute, and for as long as another feature has something of it', async () => {
    const id = await newWorkspace(null, [1, 1]);
    await deleteWorkspace(id, 0);
    await retention.removeRows(never);
    expect(await rowsOf(id)).toEqual([]);
    expect(await floorOf(id)).toBe(1);
    await deleteWorkspace(id, 2);
    keptElsewhere.add(id);
    await retention.removeRows(never);
    expect(await floorOf(id)).toBe(1);
    keptElsewhere.delete(id);
    await retention.removeRows(never);
    expect(await floorOf(id)).toBeUndefined();
  });

  test('is not forgotten while it is not deleted, however empty', async () => {
    const id = await newWorkspace(null, []);
    expect(await createRetentionStore(database).forgetWorkspace(id)).toBe(false);
    expect(await floorOf(id)).toBe(1);
  });
});

describe('partitions', () => {
  const dayMs = 24 * 60 * 60 * 1_000;
  const day = (number: number) => new Date(Date.UTC(2026, 0, number));
  const parts = [
    { name: 'before', from: undefined, until: day(1) },
    { name: 'january', from: day(1), until: day(32) },
    { name: 'february', from: day(32), until: day(60) },
    { name: 'march', from: day(60), until: day(91) },
  ];

  test.each([
    { longestDays: 30, now: day(61), until: day(60) },
    { longestDays: 30, now: day(59), until: day(60) },
    { longestDays: 30, now: day(58), until: day(32) },
    { longestDays: 7, now: day(36), until: day(60) },
    { longestDays: 365, now: day(61), until: undefined },
    { longestDays: undefined, now: day(61), until: undefined },
  ])('rows are left for the drop that comes within 31 days: %o', ({ longestDays, now, until }) => {
    expect(leftForDropUntil(parts, longestDays, now)).toEqual(until);
    // What is past stays on disk no longer.
    const dropAt = (until?.getTime() ?? 0) + (longestDays ?? 0) * dayMs;
    expect(dropAt - now.getTime()).toBeLessThanOrEqual(31 * dayMs);
  });

  test('are looked at once they ended a week ago', () => {
    const namesAt = (now: Date) => maybePast(parts, now).map(({ name }) => name);
    expect(namesAt(day(38))).toEqual(['before']);
    expect(namesAt(day(39))).toEqual(['before', 'january']);
  });

  const names = async () => (await createEventPartitions(database).list()).map(({ name }) => name);
  /** How old an event of so many months ago is, in days; it is well within its quarter. */
  const ageOf = (months: number) => (Date.now() - monthsAgo(months).getTime()) / dayMs - 3;

  test('go when nobody keeps anything of them, and stay for one event of one workspace', async () => {
    const quarter = async (months: number) => makePartition(testDatabase, monthsAgo(months));
    const [old, older] = [await quarter(40), await quarter(50)];
    const keeper = await newWorkspace(null, [ageOf(40)]);
    const retained = await Promise.all(
      range(1, 5).map(() => newWorkspace(7, [ageOf(50), ageOf(40), 1])),
    );
    const deleted = await newWorkspace(null, [ageOf(50)]);
    await deleteWorkspace(deleted);
    await retention.removePartitions(never);
    // The floors have not moved yet.
    expect(await names()).toEqual(expect.arrayContaining([old, older]));
    await retention.moveFloors(never);
    await retention.removePartitions(never);
    expect(await names()).not.toContain(older);
    expect(await names()).toContain(old);
    expect(retired).toContain(older);
    expect(await rowsOf(retained[0] as string)).toEqual([2, 3]);
    expect(await rowsOf(keeper)).toEqual([1]);
    await deleteWorkspace(keeper);
    await retention.removePartitions(never);
    expect(await names()).not.toContain(old);
    expect(await rowsOf(retained[0] as string)).toEqual([3]);
    await retention.removeRows(never);
    expect(forgotten).toEqual(expect.arrayContaining([keeper, deleted]));
  });

  test('take their rows with them where everybody has a retention, and rows go one by one elsewhere', async () => {
    await testDatabase.query("update workspaces set deleted_at = now() - interval '2 minutes'");
    await retention.removeRows(never);
    const old = await makePartition(testDatabase, monthsAgo(30));
    // Past the retention of all, or in less than a month.
    const id = await newWorkspace(7, [ageOf(30), ageOf(30), 9, 1]);
    await retention.moveFloors(never);
    await retention.removeRows(never);
    const left = await rowsOf(id);
    expect(left.slice(0, 2)).toEqual([1, 2]);
    await retention.removePartitions(never);
    expect(await names()).not.toContain(old);
    expect(await rowsOf(id)).toEqual(left.slice(2));
    // One who keeps everything, and no partition is waited for any more.
    const other = await makePartition(testDatabase, monthsAgo(60));
    const again = await newWorkspace(7, [ageOf(60), 1]);
    await newWorkspace(null, []);
    await retention.moveFloors(never);
    await retention.removeRows(never);
    expect(await rowsOf(again)).toEqual([2]);
    expect(await names()).toContain(other);
  });
});
