import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClockWatch } from '../src/database/clock-watch.ts';
import { type Database, openDatabase } from '../src/database/database.ts';
import { createHeartbeat } from '../src/database/heartbeat.ts';
import { createLog } from '../src/log.ts';
import { createTestDatabase, type TestDatabase } from './support/test-database.ts';

let testDatabase: TestDatabase;
let database: Database;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  const options = { poolSize: 1, applicationName: 'test', onNotice: () => undefined };
  database = await openDatabase({ url: testDatabase.url, ...options });
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

function createWatch() {
  const lines: Record<string, unknown>[] = [];
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) });
  return { lines, watch: createClockWatch(log) };
}

const wrong = expect.stringMatching(/clock of this machine is not that of the database/);
const right = 'the clock of this machine is right again';

test.each([
  ['ahead', 90_000],
  ['behind', -90_000],
])(
  'a clock that is a minute and a half %s is told of once, and once when it is right again',
  async (_, offMs) => {
    const { lines, watch } = createWatch();
    let aheadMs = 0;
    const { beat } = createHeartbeat(database, {
      onClock: watch,
      nowMs: () => Date.now() + aheadMs,
    });
    await beat();
    expect(lines).toEqual([]);
    aheadMs = offMs;
    await beat();
    await beat();
    expect(lines).toMatchObject([{ level: 50, msg: wrong }]);
    // A second or so of it may be the way to the database and back.
    expect(Math.abs(Number(lines[0]?.ahead_ms) - offMs)).toBeLessThan(5_000);
    aheadMs = 0;
    await beat();
    await beat();
    expect(lines.slice(1)).toMatchObject([{ level: 30, msg: right }]);
  },
);

test('a minute is no fault, nor is one that the answer may have taken', () => {
  const { lines, watch } = createWatch();
  watch({ databaseMs: 1_000_000, askedAtMs: 1_060_000, heardAtMs: 1_061_000 });
  watch({ databaseMs: 1_000_000, askedAtMs: 939_000, heardAtMs: 940_000 });
  watch({ databaseMs: 1_000_000, askedAtMs: 900_000, heardAtMs: 1_100_000 });
  expect(lines).toEqual([]);
});

test('a clock that comes near is not told of at every beat', () => {
  const { lines, watch } = createWatch();
  for (const aheadMs of [61_000, 59_000, 61_000, 45_000, 31_000, 61_000, 30_000, 59_000]) {
    watch({
      databaseMs: 1_000_000,
      askedAtMs: 1_000_000 + aheadMs,
      heardAtMs: 1_000_000 + aheadMs,
    });
  }
  expect(lines.map(({ msg }) => msg)).toEqual([wrong, right]);
});
