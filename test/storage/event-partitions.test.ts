import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import {
  createEventPartitions,
  type EventPartitions,
} from '../../src/database/partitions/event-partitions.ts';
import { partitionsFrom } from '../../src/database/partitions/period.ts';
import { makePartition, uuidSqlAt } from '../support/partitions.ts';
import { schemaLock } from '../support/schema-lock.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
let database: Database;
let partitions: EventPartitions;

beforeEach(async () => {
  testDatabase = await createTestDatabase();
  database = await open();
  partitions = createEventPartitions(database);
  await testDatabase.query(
    `insert into workspaces (id, display_name, created_at) values ('ws_1', '', now())`,
  );
});
afterEach(async () => {
  await database.close();
  await testDatabase.drop();
});

function open(): Promise<Database> {
  const options = { poolSize: 4, applicationName: 'test', onNotice: () => undefined };
  return openDatabase({ url: testDatabase.url, ...options });
}

const planned = partitionsFrom('quarter', new Date(), 3);
const names = planned.map(({ name }) => name);
const listNames = async () => (await partitions.list()).map(({ name }) => name);
const past = new Date('2024-02-01T00:00:00Z');

async function drop(name: string): Promise<void> {
  await testDatabase.query(`alter table events detach partition ${name}`);
  await testDatabase.query(`drop table ${name}`);
}

/** Inserts an event of a time, as its sequence says. */
async function insertAt(time: string, sequence: number): Promise<void> {
  await testDatabase.query(`
    insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
    values (${uuidSqlAt(`timestamptz '${time}'`)}, 'ws_1', ${sequence}, 'tested', '{}', 2, '${time}')`);
}

test('a new database has partitions of now and of three periods more', async () => {
  expect(await partitions.list()).toEqual(planned.map((one) => ({ ...one, isDetaching: false })));
  expect(await partitions.keep()).toEqual({ made: [], removed: [], waiting: [] });
});

test('a partition that is missing is made, once by many who do so at once', async () => {
  await drop(names[0] as string);
  await drop(names[3] as string);
  const others = [await open(), await open()];
  const kept = await Promise.all(
    [database, ...others].map((one) => createEventPartitions(one).keep()),
  );
  expect(kept.flatMap(({ made }) => made).toSorted()).toEqual([names[0], names[3]]);
  expect(await listNames()).toEqual(names);
  await Promise.all(others.map((one) => one.close()));
});

test('every partition refuses a second event with a sequence of a workspace', async () => {
  expect(names).toHaveLength(4);
  for (const { from, name } of planned) {
    const time = new Date(from.getTime() + 1).toISOString();
    await insertAt(time, 1);
    await expect(insertAt(time, 1)).rejects.toThrow(`${name}_workspace_id_sequence_key`);
  }
});

test('vacuum comes to every partition before a fiftieth of it is new', async () => {
  const settings = await testDatabase.query<{ settings: string[] | null }>(`
    select reloptions as settings from pg_inherits join pg_class on oid = inhrelid
    where inhparent = 'events'::regclass`);
  expect(settings).toHaveLength(4);
  for (const one of settings) {
    expect(one.settings).toContain('autovacuum_vacuum_insert_scale_factor=0.02');
  }
});

test('a partition goes with what is in it', async () => {
  const name = await makePartition(testDatabase, past);
  await insertAt('2024-02-02T00:00:00Z', 1);
  await insertAt(new Date().toISOString(), 2);
  expect(await listNames()).toEqual([name, ...names]);
  expect(await partitions.retire(name)).toBe(true);
  expect(await listNames()).toEqual(names);
  expect(await testDatabase.query('select sequence::int from events')).toEqual([{ sequence: 2 }]);
  expect(await testDatabase.query('select from retiring_event_partitions')).toEqual([]);
  expect(await testDatabase.query(`select to_regclass('${name}') as name`)).toEqual([
    { name: null },
  ]);
  // Another process may have decided the same a moment before.
  expect(await partitions.retire(name)).toBe(true);
});

test('a partition to which events may still come does not go', async () => {
  await expect(partitions.retire(names[0] as string)).rejects.toThrow('is no partition of events');
  await expect(partitions.retire('workspaces')).rejects.toThrow('is no partition of events');
  expect(await listNames()).toEqual(names);
});

test('a partition that somebody reads goes when they are done; nobody waits meanwhile', async () => {
  const name = await makePartition(testDatabase, past);
  await insertAt('2024-02-02T00:00:00Z', 1);
  const reader = await testDatabase.connect();
  await reader.query('begin');
  await reader.query('select from events');
  expect(await partitions.retire(name)).toBe(false);
  // Neither the one who reads nor those who come then.
  expect((await reader.query(`select from ${name}`)).rows).toHaveLength(1);
  await insertAt(new Date().toISOString(), 2);
  expect(await testDatabase.query('select from events')).toHaveLength(1);
  expect(await listNames()).toEqual(names);
  expect(await partitions.keep()).toMatchObject({ removed: [], waiting: [name] });
  await reader.query('commit');
  await reader.end();
  expect(await partitions.keep()).toEqual({ made: [], removed: [name], waiting: [] });
}, 30_000);

test('of several partitions that somebody reads all go when they are done', async () => {
  const earlier = await makePartition(testDatabase, new Date('2023-02-01T00:00:00Z'));
  const later = await makePartition(testDatabase, past);
  const reader = await testDatabase.connect();
  await reader.query('begin; select from events');
  expect(await partitions.retire(later)).toBe(false);
  expect(await partitions.retire(earlier)).toBe(false);
  await reader.query('commit');
  await reader.end();
  expect(await partitions.keep()).toMatchObject({ removed: [later, earlier], waiting: [] });
  expect(await listNames()).toEqual(names);
}, 30_000);

test.each([
  ['noted it', () => []],
  ['detached it', (name: string) => [`alter table events detach partition ${name}`]],
  [
    'dropped it',
    (name: string) => [`alter table events detach partition ${name}`, `drop table ${name}`],
  ],
])('killed when it has %s, a removal is ended by the next round', async (_, done) => {
  const name = await makePartition(testDatabase, past);
  await testDatabase.query('insert into retiring_event_partitions values ($1)', [name]);
  for (const text of done(name)) await testDatabase.query(text);
  expect(await partitions.keep()).toMatchObject({ removed: [name] });
  expect(await testDatabase.query(`select to_regclass('${name}') as name`)).toEqual([
    { name: null },
  ]);
  expect(await partitions.keep()).toMatchObject({ removed: [] });
});

test('a partition that an operator detaches stays theirs', async () => {
  const name = await makePartition(testDatabase, past);
  await insertAt('2024-02-02T00:00:00Z', 1);
  await testDatabase.query(`alter table events detach partition ${name}`);
  await partitions.keep();
  expect(await listNames()).toEqual(names);
  expect(await testDatabase.query(`select from ${name}`)).toHaveLength(1);
});

test('a round whose process stops ends early, and the next one goes on', async () => {
  await drop(names[3] as string);
  const past1 = await makePartition(testDatabase, past);
  await testDatabase.query('insert into retiring_event_partitions values ($1)', [past1]);
  expect(await partitions.keep(AbortSignal.abort())).toMatchObject({ made: [], removed: [] });
  expect(await partitions.keep()).toMatchObject({ made: [names[3]], removed: [past1] });
});

test('while somebody else changes the schema, nothing is done', async () => {
  await drop(names[3] as string);
  const other = await testDatabase.connect();
  await other.query(`select pg_advisory_lock(${schemaLock})`);
  expect(await partitions.keep()).toMatchObject({ made: [] });
  await other.end();
  expect(await partitions.keep()).toMatchObject({ made: [names[3]] });
});
