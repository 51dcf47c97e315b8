import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createBackgroundReport } from '../../src/background-report.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { createHeartbeat } from '../../src/database/heartbeat.ts';
import { createEventPartitions } from '../../src/database/partitions/event-partitions.ts';
import { createPartitionKeeper } from '../../src/database/partitions/partition-keeper.ts';
import { partitionsFrom, timeOfUuid } from '../../src/database/partitions/period.ts';
import { prepareEvent } from '../../src/events/event.ts';
import { createAppendQueue, createEventStore } from '../../src/events/index.ts';
import { createLog } from '../../src/log.ts';
import { uuidOf } from '../../src/type-id.ts';
import { createEventsClient } from '../support/clients.ts';
import { schemaLock } from '../support/schema-lock.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService } from '../support/test-service.ts';

let testDatabase: TestDatabase;
let database: Database;
let logLines: { msg: string }[];
let queue: ReturnType<typeof createAppendQueue>;

beforeEach(async () => {
  testDatabase = await createTestDatabase();
  const options = { poolSize: 4, applicationName: 'test', onNotice: () => undefined };
  database = await openDatabase({ url: testDatabase.url, ...options });
  await testDatabase.query(
    `insert into workspaces (id, display_name, created_at) values ('ws_1', '', now())`,
  );
  logLines = [];
  const log = createLog('info', { write: (line) => void logLines.push(JSON.parse(line)) });
  const keeper = createPartitionKeeper({
    partitions: createEventPartitions(database),
    beat: createHeartbeat(database).beat,
    log,
    report: createBackgroundReport(log).of,
  });
  queue = createAppendQueue(createEventStore(database.statements, keeper.renew));
});
afterEach(async () => {
  await database.close();
  await testDatabase.drop();
});

const dayMs = 86_400_000;

/** Sets the clock in ids so far from the machine's, which is the database's too. */
function setClockOff(ms: number): void {
  database.clock.set(Date.now() + ms, performance.now(), performance.now());
}

async function append(): Promise<{ sequence: number; timeMs: number }> {
  const { event } = await queue.append(
    prepareEvent({ workspaceId: 'ws_1', type: 'tested', payload: {}, idempotencyKey: undefined }),
  );
  return { sequence: event.sequence, timeMs: timeOfUuid(uuidOf(event.id)).getTime() };
}

const isNow = (timeMs: number) => Math.abs(timeMs - Date.now()) < 60_000;

test('the time in an id follows the database’s clock, not the machine’s', async () => {
  setClockOff(20 * dayMs);
  expect((await append()).timeMs - Date.now()).toBeGreaterThan(19 * dayMs);
  await createHeartbeat(database).beat();
  expect(isNow((await append()).timeMs)).toBe(true);
  vi.spyOn(Date, 'now').mockReturnValue(0);
  const { timeMs } = await append();
  vi.restoreAllMocks();
  expect(isNow(timeMs)).toBe(true);
});

test('an id without a partition is made afresh and logged, and the event is there once', async () => {
  for (const years of [-20, 20]) {
    setClockOff(years * 365 * dayMs);
    const appended = await Promise.all([append(), append(), append()]);
    expect(appended.filter(({ timeMs }) => !isNow(timeMs))).toEqual([]);
    const lines = logLines.splice(0).map(({ msg }) => msg);
    expect(lines).toContainEqual(expect.stringContaining('it is made afresh'));
  }
  const stored = await testDatabase.query('select sequence::int from events order by sequence');
  expect(stored).toEqual([1, 2, 3, 4, 5, 6].map((sequence) => ({ sequence })));
});

test('where the partition of now is missing, it is made at once', async () => {
  const { name } = partitionsFrom('quarter', new Date(), 0)[0] ?? {};
  await testDatabase.query(`drop table ${name}`);
  expect(await append()).toMatchObject({ sequence: 1 });
  expect(logLines).toContainEqual(
    expect.objectContaining({ msg: 'made partitions of events', partitions: [name] }),
  );
});

test('a running service does so', async () => {
  const service = await startTestService();
  const { name } = partitionsFrom('quarter', new Date(), 0)[0] ?? {};
  await service.database.query(`drop table ${name}`);
  const { event } = await createEventsClient(service).createEvent({
    workspaceId: service.workspaceId,
    type: 'tested',
    payload: {},
  });
  expect(event?.sequence).toBe(1n);
  const lines = service.logLines.map(({ msg }) => msg);
  expect(lines).toContain('made partitions of events');
  await service.stop();
});

test('where it cannot be made, the caller is told to try again, and of no fault', async () => {
  const { name } = partitionsFrom('quarter', new Date(), 0)[0] ?? {};
  await testDatabase.query(`drop table ${name}`);
  const other = await testDatabase.connect();
  await other.query(`select pg_advisory_lock(${schemaLock})`);
  await expect(append()).rejects.toMatchObject({ name: 'DatabaseUnavailable', sent: false });
  await other.end();
  expect(await append()).toMatchObject({ sequence: 1 });
});
