import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Harbor } from '../../sdk/src/index.ts';
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
const postmasterPid = async () =>
  Number.parseInt(
    await readFile(join(postgresFolder(), 'cluster', 'data', 'postmaster.pid'), 'utf8'),
    10,
  );

async function createClient(quickStart: QuickStartProcess) {
  const { HARBOR_BASE_URL: baseUrl, HARBOR_SECRET_KEY: secretKey } = await quickStart.devEnv();
  return new Harbor({ baseUrl, secretKey });
}

test('a PostgreSQL that is killed under the quick start is started again, and nothing is lost', async () => {
  const quickStart = start();
  await quickStart.ready;
  const { events } = await createClient(quickStart);
  const workspaceId = 'ws_018f3a2e4b9c';
  const create = (type: string) =>
    events.create({ workspaceId, type, payload: {} }, { idempotencyKey: type });
  const before = await create('before');
  process.kill(await postmasterPid(), 'SIGKILL');
  // The SDK sends the same create again for as long as the service says that it has no database.
  await expect.poll(() => create('after').then(({ sequence }) => sequence)).toBe(2);
  expect((await events.retrieve(before.id)).sequence).toBe(before.sequence);
  await expect.poll(() => quickStart.output()).toContain('the embedded PostgreSQL is back');

  process.kill(await postmasterPid(), 'SIGKILL');
  await expect.poll(() => create('after the second').then(({ sequence }) => sequence)).toBe(3);
  quickStart.child.kill('SIGTERM');
  expect(await quickStart.ended).toMatchObject({ code: 0 });
  expect(processesIn(dataDirectory)).toEqual([]);
}, 60_000);

test('a PostgreSQL that cannot be started again ends the process, with one line that says so', async () => {
  const quickStart = start();
  await quickStart.ready;
  await rm(join(postgresFolder(), 'cluster', 'data', 'PG_VERSION'));
  process.kill(await postmasterPid(), 'SIGKILL');
  const { code, output } = await quickStart.ended;
  expect(code).toBe(1);
  expect(output).toMatch(/^harbor: the embedded PostgreSQL .* cannot be started again: .+$/m);
  expect(output).not.toMatch(/\n\s+at /);
  expect(processesIn(dataDirectory)).toEqual([]);
}, 60_000);

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
