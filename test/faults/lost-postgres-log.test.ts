import { expect, test } from 'vitest';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { startOwnPostgres } from '../support/own-postgres.ts';

test('the log tells of a lost PostgreSQL without a stack and without a line for each loop, and when it is back', async () => {
  const postgres = await startOwnPostgres();
  const lines: Record<string, unknown>[] = [];
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) });
  const app = await startApp(readConfig({ PORT: '0' }), postgres.url, log);
  const of = (msg: string) => lines.filter((line) => line.msg === msg);
  try {
    await postgres.kill();
    // By then each loop has failed several times.
    await expect.poll(() => of('PostgreSQL is lost').length, { timeout: 20_000 }).toBe(5);
    const times = of('PostgreSQL is lost').map(({ time }) => Date.parse(String(time)));
    const gapsMs = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    // The log's clock counts whole milliseconds.
    expect(Math.min(...gapsMs)).toBeGreaterThanOrEqual(999);
    expect(of('a background round failed')).toEqual([]);
    expect(JSON.stringify(lines)).not.toContain('stack');
    await postgres.start();
    await expect.poll(() => of('PostgreSQL is back').length, { timeout: 20_000 }).toBe(1);
  } finally {
    await app.stop();
    await postgres.remove();
  }
}, 60_000);
