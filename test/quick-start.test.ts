import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Harbor } from '../sdk/src/index.ts';
import { hashSecret } from '../src/api-keys/index.ts';
import { readConfig } from '../src/config.ts';
import { describeQuickStart, prepareQuickStart } from '../src/quick-start.ts';
import { withQuickStartWebhooks } from '../src/quick-start-webhooks.ts';
import { type QuickStartProcess, startQuickStart } from './support/quick-start-process.ts';
import { startTestService } from './support/test-service.ts';
import { startReceiver } from './support/webhook-receiver.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');

let dataDirectory: string;
let quickStart: QuickStartProcess;

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'harbor-quick-start-'));
  quickStart = startQuickStart(dataDirectory, { METRICS_PORT: '0' });
  await quickStart.ready;
});
afterAll(async () => {
  quickStart.child.kill('SIGTERM');
  await quickStart.ended;
  await rm(dataDirectory, { recursive: true, force: true });
});

/** The TypeScript blocks of the public page, in order. */
async function readSnippets(): Promise<string[]> {
  const page = await readFile(join(root, 'docs/creating-events.md'), 'utf8');
  return [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] as string);
}

/** Runs a program in this checkout, where `@harbor/sdk` is installed, and returns what it prints. */
async function runProgram(text: string): Promise<string> {
  const folder = await mkdtemp(join(root, '.harbor-snippet-'));
  try {
    const file = join(folder, 'snippet.ts');
    await writeFile(file, text);
    const { stdout } = await run(process.execPath, [file], { env: await quickStart.devEnv() });
    return stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('dev.env holds base URL, key and workspace, for its owner only', async () => {
  expect(await quickStart.devEnv()).toEqual({
    HARBOR_BASE_URL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    HARBOR_SECRET_KEY: expect.stringMatching(/^hbr_sk_[0-9A-Za-z]{49}$/),
    HARBOR_WORKSPACE_ID: 'ws_018f3a2e4b9c',
  });
  expect((await stat(join(dataDirectory, 'dev.env'))).mode & 0o777).toBe(0o600);
});

test('it makes a key for secrets of webhooks, once and for its owner only, and says where webhooks may go', async () => {
  const path = join(dataDirectory, 'encryption.key');
  const key = await readFile(path, 'utf8');
  expect(Buffer.from(key, 'base64')).toHaveLength(32);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(quickStart.output()).toContain('WEBHOOK_ALLOW_CIDRS');
  const config = { ...readConfig({}), dataDirectory };
  const told = await withQuickStartWebhooks(config);
  expect(told.webhooks.encryptionKeys).toEqual([Buffer.from(key, 'base64')]);
  expect(told.webhooks.allowCidrs).toEqual(['127.0.0.0/8', '::1/128']);
  expect(await readFile(path, 'utf8')).toBe(key);
  const webhooks = {
    ...config.webhooks,
    encryptionKeys: [Buffer.alloc(32)],
    allowCidrs: ['10.0.0.0/8'],
  };
  expect((await withQuickStartWebhooks({ ...config, webhooks })).webhooks).toEqual(webhooks);
});

test('an endpoint of the quick start can be sent to on this machine', async () => {
  const { HARBOR_BASE_URL: baseUrl, HARBOR_SECRET_KEY: secretKey } = await quickStart.devEnv();
  const receiver = await startReceiver();
  const harbor = new Harbor({ secretKey, baseUrl });
  const { id } = await harbor.webhookEndpoints.create({
    workspaceId: 'ws_018f3a2e4b9c',
    url: `${receiver.baseUrl}/hooks`,
  });
  expect((await harbor.webhookEndpoints.sendTestEvent(id)).responseStatus).toBe(204);
  await harbor.webhookEndpoints.delete(id);
  await receiver.close();
});

test('the curl line that it prints works when pasted, and returns the same event twice', async () => {
  const line = /^curl [\s\S]*?\n\n/m.exec(quickStart.output())?.[0] ?? '';
  const first = JSON.parse((await run('sh', ['-c', line])).stdout);
  const second = JSON.parse((await run('sh', ['-c', line])).stdout);
  expect(first).toMatchObject({
    id: expect.stringMatching(/^evt_[0-9a-z]{26}$/),
    type: 'invoice.paid',
    workspace_id: 'ws_018f3a2e4b9c',
    payload: { invoice_id: 'inv_0192ac4e8b1d', amount_cents: 4200 },
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    sequence: 1,
  });
  expect(second).toEqual(first);
});

test('the first snippet of the page runs as printed', async () => {
  const [create] = await readSnippets();
  expect(await runProgram(create ?? '')).toMatch(/^evt_[0-9a-z]{26}\n$/);
});

test('the idempotency snippet runs as printed, and twice makes one event', async () => {
  const [create = '', again = ''] = await readSnippets();
  const [, id] = (
    await runProgram(
      `${create}\nconst one = ${again.trim().replace(/;$/, '')};\nconst two = ${again}\nconsole.log(one.id === two.id ? one.id : 'two events');`,
    )
  ).split('\n');
  expect(id).toMatch(/^evt_/);
});

test('the retrieve snippet runs as printed: the shortened id of the page is a clean NOT_FOUND', async () => {
  const [create = '', , retrieve = ''] = await readSnippets();
  const printed = await runProgram(`${create}
try {
${retrieve}
} catch (error) {
  console.log(error.constructor.name, error.code, error.reason);
}`);
  expect(printed.split('\n')[1]).toBe('NotFoundError not_found EVENT_NOT_FOUND');
});

test('a second start in the same folder says that one is running, in one line, and exits 1', async () => {
  const { code, output } = await startQuickStart(dataDirectory).ended;
  expect(code).toBe(1);
  expect(output.trim().split('\n')).toHaveLength(1);
  expect(output).toMatch(
    /^harbor: Harbor Events is running in this folder already, as process \d+/,
  );
});

test('a taken port is one clear line and exit code 1', async () => {
  const { HARBOR_BASE_URL: baseUrl = '' } = await quickStart.devEnv();
  const folder = await mkdtemp(join(tmpdir(), 'harbor-quick-start-'));
  const second = startQuickStart(folder, { PORT: new URL(baseUrl).port, LOG_LEVEL: 'silent' });
  const { code, output } = await second.ended;
  expect(code).toBe(1);
  expect(output).toMatch(/^harbor: port \d+ of 127\.0\.0\.1 is taken; .*\n$/);
  await rm(folder, { recursive: true, force: true });
});

test('an unreachable DATABASE_URL is one clear line and exit code 1, without its password', async () => {
  const second = startQuickStart(dataDirectory, {
    DATABASE_URL: 'postgresql://someone:hidden@127.0.0.1:1/harbor',
    LOG_LEVEL: 'silent',
  });
  const { code, output } = await second.ended;
  expect(code).toBe(1);
  expect(output).toMatch(
    /^harbor: PostgreSQL at postgresql:\/\/127\.0\.0\.1:1\/harbor .*ECONNREFUSED.*\n$/,
  );
  expect(output).not.toContain('hidden');
});

test('an unreachable DATABASE_DIRECT_URL is told as such', async () => {
  const second = startQuickStart(dataDirectory, {
    DATABASE_URL: 'postgresql://someone:hidden@127.0.0.1:1/harbor',
    DATABASE_DIRECT_URL: 'postgresql://someone:hidden@127.0.0.1:2/direct',
    LOG_LEVEL: 'silent',
  });
  const { code, output } = await second.ended;
  expect(code).toBe(1);
  expect(output).toMatch(
    /^harbor: PostgreSQL at postgresql:\/\/127\.0\.0\.1:2\/direct \(DATABASE_DIRECT_URL\) .*ECONNREFUSED.*\n$/,
  );
  expect(output).not.toContain('hidden');
});

test('the key may do everything; one of a version before is kept as it is, and replaced by such a key', async () => {
  const service = await startTestService();
  const folder = await mkdtemp(join(tmpdir(), 'harbor-quick-start-'));
  const prepare = () => prepareQuickStart(service.app, { dataDirectory: folder, tls: false });
  const scopesOf = async (secret: string) =>
    (await service.app.apiKeys.findCaller(hashSecret(secret)))?.scopes;
  const { secretKey: first } = await prepare();
  expect(await scopesOf(first)).toEqual(['all']);
  expect((await prepare()).secretKey).toBe(first);
  const earlier = await service.issueKey({ kind: 'secret' });
  await writeFile(join(folder, 'dev.env'), `HARBOR_SECRET_KEY=${earlier}\n`);
  const { secretKey: second } = await prepare();
  expect(await scopesOf(second)).toEqual(['all']);
  expect(await scopesOf(earlier)).toEqual([]);
  expect(await readFile(join(folder, 'dev.env'), 'utf8')).toContain(second);
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

test('it says where its metrics are, or how to have them', async () => {
  const [, url = ''] = /^ {2}metrics {6}(http:\S+)$/m.exec(quickStart.output()) ?? [];
  expect(await (await fetch(url)).text()).toContain('harbor_ready 1');
  const service = await startTestService();
  const folder = await mkdtemp(join(tmpdir(), 'harbor-quick-start-'));
  const facts = await prepareQuickStart(service.app, { dataDirectory: folder, tls: false });
  expect(describeQuickStart(facts, 'dev.env')).toMatch(/^ {2}metrics {6}are off \(METRICS_PORT=/m);
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

test('after kill -9 the next start keeps key, workspace and events', async () => {
  const before = await quickStart.devEnv();
  quickStart.child.kill('SIGKILL');
  await quickStart.ended;
  quickStart = startQuickStart(dataDirectory);
  await quickStart.ready;
  const after = await quickStart.devEnv();
  expect(after.HARBOR_SECRET_KEY).toBe(before.HARBOR_SECRET_KEY);
  const response = await fetch(`${after.HARBOR_BASE_URL}/v1/events`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${before.HARBOR_SECRET_KEY}`,
      'content-type': 'application/json',
      'idempotency-key': 'inv_0192ac4e8b1d-paid',
    },
    body: JSON.stringify({
      workspace_id: 'ws_018f3a2e4b9c',
      type: 'invoice.paid',
      payload: { invoice_id: 'inv_0192ac4e8b1d', amount_cents: 4200 },
    }),
  });
  expect(response.headers.get('idempotent-replayed')).toBe('true');
  // What was there already is found, not run into: an operator who reads this log finds no errors.
  const serverLog = await readFile(join(dataDirectory, 'postgres/server.log'), 'utf8');
  expect(serverLog.split('\n').filter((line) => line.includes('ERROR:'))).toEqual([]);
});
