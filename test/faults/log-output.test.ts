import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findFreePort } from '../../src/embedded-postgres/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');

let database: TestDatabase;
let kill: () => void;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  kill();
  await database.drop();
});

/** The service with any standard output, ready for calls. */
async function startService(stdout: number | 'pipe') {
  const port = await findFreePort();
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, DATABASE_URL: database.url, PORT: `${port}` },
    stdio: ['ignore', stdout, 'inherit'],
  });
  kill = () => child.kill('SIGKILL');
  const get = () => fetch(`http://127.0.0.1:${port}/healthz`).then(({ status }) => status);
  await expect.poll(() => get().catch(() => 0)).toBe(200);
  return { child, get, exited: once(child, 'exit') };
}

async function call(get: () => Promise<number>, count: number): Promise<void> {
  for (let n = 0; n < count; n += 100) await Promise.all(Array.from({ length: 100 }, get));
}

test.runIf(existsSync('/dev/full'))(
  'a service whose log is on a full disk goes on, and ends when it is told to',
  async () => {
    const full = openSync('/dev/full', 'w');
    const { child, get, exited } = await startService(full);
    closeSync(full);
    await call(get, 200);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  },
);

test('a service whose log nobody reads ends when it is told to', async () => {
  const { child, get, exited } = await startService('pipe');
  // The lines of 2,000 calls are more than the pipe and Node's own buffer of it hold.
  await call(get, 2_000);
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});

test('every line is written whole, "stopped" as the last, whoever reads late', async () => {
  const { child, get, exited } = await startService('pipe');
  await call(get, 2_000);
  if (child.stdout === null) throw new Error('no standard output');
  const output = text(child.stdout);
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  const lines = (await output)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).msg as string);
  expect(lines.filter((msg) => msg === 'call').length).toBeGreaterThanOrEqual(2_000);
  expect(lines.at(-1)).toBe('stopped');
});
