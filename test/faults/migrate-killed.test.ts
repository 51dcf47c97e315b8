import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { migrations } from '../../src/database/migrations/index.ts';
import { makeEarlierDatabase, startEarlierProcesses } from '../support/earlier-processes.ts';
import { createTestDatabase } from '../support/test-database.ts';

const cli = resolve(import.meta.dirname, '../../src/cli.ts');
const stepsTotal = migrations.reduce((sum, { steps }) => sum + steps.length, 0);

test('kill -9 after each step: the next start goes on, and processes of before never notice', async () => {
  const database = await createTestDatabase();
  await makeEarlierDatabase(database);
  const processes = await startEarlierProcesses(database);
  const done = async () => {
    const [found] = await database.query<{ name: string | null }>(
      `select to_regclass('harbor_schema')::text as name`,
    );
    if (found?.name == null) return 0;
    return (await database.query('select from harbor_schema where done_at is not null')).length;
  };
  let kills = 0;
  for (let before = 0; before < stepsTotal; before = await done()) {
    const child = spawn(process.execPath, [cli, 'migrate'], {
      env: { PATH: process.env.PATH, DATABASE_URL: database.url },
      stdio: 'ignore',
    });
    const exited = once(child, 'exit');
    await expect.poll(done, { interval: 1, timeout: 30_000 }).toBeGreaterThan(before);
    child.kill('SIGKILL');
    const [code] = await exited;
    if (code === null) kills++;
  }
  expect(kills).toBeGreaterThan(2);
  const before = processes.answered;
  await expect.poll(() => processes.answered + processes.failures.length).toBeGreaterThan(before);
  await processes.stop();
  expect(processes.failures).toEqual([]);
  const stored = await database.query<{ id: string }>('select id from events');
  expect(new Set(stored.map(({ id }) => id))).toEqual(processes.acknowledged);
  await database.drop();
}, 120_000);
