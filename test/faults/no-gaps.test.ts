import { beforeAll, expect, test } from 'vitest';
import { checkLog, type LogCheck } from '../support/log-checker/check-log.ts';
import { upTo } from '../support/log-checker/random.ts';

const faultless = { missed: 0, twice: 0, outOfOrder: 0, foreign: 0 };

let check: LogCheck;

/** Writers, readers and faults of one run, which ends once 12,000 events were acknowledged and read. */
beforeAll(async () => {
  check = await checkLog({
    events: 12_000,
    batchMax: 40,
    kills: ['first service', 'postgres', 'second service'],
    stallEveryEvents: 1_500,
    nextCut: (random) => ({ events: upTo(random, 1_500) }),
    seed: 20_260_701,
    msMax: 100_000,
  });
}, 120_000);

test('the log is numbered 1, 2, 3 … without a gap, through kills, stalls, rollbacks and lost sessions', () => {
  expect(check.faults.kills).toBe(3);
  expect(check.faults.stalls).toBeGreaterThan(0);
  expect(check.faults.rolledBack).toBeGreaterThan(0);
  expect(check.faults.terminated).toBeGreaterThan(0);
  expect(check.stored).toMatchObject({ gaps: 0, lastSequence: check.stored.lines.length });
});

test('every event that was acknowledged is in the log, once', () => {
  expect(check.acknowledged).toBeGreaterThanOrEqual(12_000);
  expect(check.stored).toMatchObject({ lost: 0, duplicated: 0 });
});

test.for(['gRPC, first process first', 'gRPC, second process first', 'Connect JSON over HTTP/1.1'])(
  'a stream that is cut again and again and resumes gets every event once and in order: %s',
  (name) => {
    expect(check.faults.cuts).toBeGreaterThan(10);
    expect(check.readers[name]).toEqual(faultless);
  },
);

test('a list that is paged while it grows holds every event once and in order', () => {
  expect(check.readers.pages).toEqual(faultless);
});

test('a reader that polls by the order of ids misses events of the same run: the check sees a miss', () => {
  expect(check.idOrderReader.missed).toBeGreaterThan(0);
  expect(check.idOrderReader).toMatchObject({ twice: 0, foreign: 0 });
});
