import { expect, test } from 'vitest';
import { createBackgroundReport } from '../src/background-report.ts';
import { DirectConnectionFailed } from '../src/database/direct-pool.ts';
import { DatabaseUnavailable } from '../src/database-unavailable.ts';
import { createLog } from '../src/log.ts';

function createReport() {
  const lines: Record<string, unknown>[] = [];
  let nowMs = 0;
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) });
  const report = createBackgroundReport(log, () => nowMs);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { lines, report, pass };
}

const lost = () =>
  new DatabaseUnavailable('PostgreSQL cannot be reached', {
    sent: false,
    cause: new Error('connect ECONNREFUSED 127.0.0.1:5432'),
  });

test('a lost PostgreSQL is a line a second at the most, of whatever loop, without a stack, and one when it is back', () => {
  const { lines, report, pass } = createReport();
  for (let second = 0; second < 60; second++) {
    for (const loop of ['sweep', 'poll', 'listen', 'sweep', 'poll']) {
      report.of(loop)(lost());
      pass(200);
    }
  }
  expect(lines).toHaveLength(60);
  expect(lines[0]).toMatchObject({
    level: 40,
    loop: 'sweep',
    cause: {
      name: 'DatabaseUnavailable',
      message: 'PostgreSQL cannot be reached',
      cause: 'connect ECONNREFUSED 127.0.0.1:5432',
    },
    msg: 'PostgreSQL is lost',
  });
  expect(JSON.stringify(lines)).not.toContain('stack');
  report.databaseAnswered();
  report.databaseAnswered();
  expect(lines.slice(60)).toMatchObject([
    { level: 30, lost_ms: 60_000, msg: 'PostgreSQL is back' },
  ]);
});

test('a PostgreSQL that comes and goes many times a second is two lines a second', () => {
  const { lines, report, pass } = createReport();
  for (let n = 0; n < 100; n++) {
    report.of('poll')(lost());
    report.databaseAnswered();
    pass(10);
  }
  expect(lines).toHaveLength(2);
});

test('a PostgreSQL that is lost past the pooler alone is not told to be back because the pooler answers', () => {
  const { lines, report } = createReport();
  report.of('listen')(new DirectConnectionFailed(new Error('connect ECONNREFUSED')));
  report.databaseAnswered();
  expect(lines).toMatchObject([
    { cause: { message: 'PostgreSQL cannot be reached past the pooler' } },
  ]);
});

test('every other failure is a line with its stack', () => {
  const { lines, report } = createReport();
  report.of('poll')(new TypeError('a fault of ours'));
  report.of('poll')(new TypeError('a fault of ours'));
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatchObject({
    msg: 'a background round failed',
    cause: { name: 'TypeError', stack: expect.stringContaining('at ') },
  });
});
