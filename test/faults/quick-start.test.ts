import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processesIn } from '../support/processes-in.ts';
import { type QuickStartProcess, startQuickStart } from '../support/quick-start-process.ts';

let dataDirectory: string;
let started: QuickStartProcess[];

beforeEach(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'harbor-quick-start-'));
  started = [];
});
afterEach(async () => {
  for (const { child } of started) child.kill('SIGTERM');
  await Promise.all(started.map(({ ended }) => ended));
  await rm(dataDirectory, { recursive: true, force: true });
});

function start(): QuickStartProcess {
  const quickStart = startQuickStart(dataDirectory);
  started.push(quickStart);
  return quickStart;
}

const postgresFolder = () => join(dataDirectory, 'postgres');
const partialCluster = () =>
  existsSync(postgresFolder())
    ? readdirSync(postgresFolder()).find((name) => name.startsWith('cluster-partial'))
    : undefined;

test.each([
  {
    moment: 'initdb makes the database',
    signal: 'SIGTERM',
    isNow: () => {
      const partial = partialCluster();
      return (
        partial !== undefined && existsSync(join(postgresFolder(), partial, 'data', 'PG_VERSION'))
      );
    },
  },
  {
    moment: 'PostgreSQL starts',
    signal: 'SIGINT',
    isNow: () => existsSync(join(postgresFolder(), 'cluster', 'data', 'postmaster.pid')),
  },
  {
    moment: 'the schema is made',
    signal: 'SIGHUP',
    isNow: () => existsSync(join(dataDirectory, 'postgres.url')),
  },
] as const)(
  'a $signal while $moment leaves no process, and the next start works',
  async ({ signal, isNow }) => {
    const quickStart = start();
    await expect.poll(isNow, { interval: 2, timeout: 20_000 }).toBe(true);
    quickStart.child.kill(signal);
    const { code, output } = await quickStart.ended;
    expect({ code, failure: /harbor:.*/.exec(output) }).toEqual({ code: 0, failure: null });
    expect(output).not.toContain('Run it twice');
    expect(processesIn(dataDirectory)).toEqual([]);
    expect(partialCluster()).toBeUndefined();
    const next = start();
    await next.ready;
  },
  60_000,
);
