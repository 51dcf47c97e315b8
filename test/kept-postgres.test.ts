import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type KeptPostgres, keepEmbeddedPostgres } from '../src/embedded-postgres/index.ts';
import { processesIn } from './support/processes-in.ts';

let directory: string;
let kept: KeptPostgres;
let seen: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'harbor-kept-'));
  seen = [];
});
afterEach(async () => {
  await kept.stop();
  await rm(directory, { recursive: true, force: true });
});

async function keep(delaysMs: readonly number[]): Promise<void> {
  kept = await keepEmbeddedPostgres(
    { directory, database: 'harbor', settings: { fsync: 'off' } },
    {
      onEnd: ({ signal, code }) => void seen.push(`ended: ${signal ?? code}`),
      onRestart: () => void seen.push('back'),
      onLost: ({ message }) => void seen.push(`lost: ${message}`),
    },
    delaysMs,
  );
}

async function kill(): Promise<void> {
  const text = await readFile(join(directory, 'cluster', 'data', 'postmaster.pid'), 'utf8');
  process.kill(Number.parseInt(text, 10), 'SIGKILL');
}

test('a server that ends again and again is given up', async () => {
  await keep([0]);
  await kill();
  await expect.poll(() => seen).toEqual(['ended: SIGKILL', 'back']);
  await kill();
  await expect
    .poll(() => seen.slice(2))
    .toEqual(['ended: SIGKILL', 'lost: it ended again and again (SIGKILL)']);
}, 60_000);

test('a server that is stopped stays stopped, also while it is being started again', async () => {
  await keep([0, 0]);
  await kill();
  await expect.poll(() => seen).toContain('ended: SIGKILL');
  await kept.stop();
  expect(seen.filter((one) => one.startsWith('lost'))).toEqual([]);
  await expect.poll(() => processesIn(directory)).toEqual([]);
}, 60_000);
