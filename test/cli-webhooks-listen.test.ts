import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createEventsClient } from './support/clients.ts';
import { runHarbor } from './support/harbor-cli.ts';
import { startTestService, type TestService, testWorkspaceId } from './support/test-service.ts';
import { type Receiver, startReceiver } from './support/webhook-receiver.ts';

const cli = resolve(import.meta.dirname, '../src/cli.ts');
let service: TestService;
let receiver: Receiver;

beforeAll(async () => {
  service = await startTestService();
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver.close();
  await service.stop();
});

function env(): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HARBOR_BASE_URL: service.baseUrl,
    HARBOR_SECRET_KEY: service.secretKey,
    HARBOR_WORKSPACE_ID: testWorkspaceId,
  };
}

const listeners: Listener[] = [];
afterEach(async () => {
  for (const { stop } of listeners.splice(0)) await stop();
});

interface Listener {
  /** The next line of standard output. */
  line(): Promise<string>;
  /** The next line of standard error. */
  note(): Promise<string>;
  /** Interrupts it, and returns how it ended. */
  stop(): Promise<unknown[]>;
}

/** Runs `webhooks listen` over the whole log. */
function listen(...args: string[]): Listener {
  const child = spawn(process.execPath, [cli, 'webhooks', 'listen', '--after', '0', ...args], {
    env: env(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  const out = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const err = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  const listener = {
    line: async () => (await out.next()).value ?? '',
    note: async () => (await err.next()).value ?? '',
    stop() {
      child.kill('SIGINT');
      return exited;
    },
  };
  listeners.push(listener);
  return listener;
}

const create = async (type: string) => {
  const { event } = await createEventsClient(service).createEvent({
    workspaceId: testWorkspaceId,
    type,
    payload: { amount: 4200, name: 'Zoë' },
  });
  return event?.id ?? '';
};

const secretIn = (note: string) => /whsec_\S+/.exec(note)?.[0] ?? '';

test('listen forwards what is there and what comes, signed, with a line for each', async () => {
  const first = await create('forwarded.first');
  const { line, note, stop } = listen(
    ...['--forward-to', `${receiver.baseUrl}/hooks?a=b`, '--type', 'forwarded.*'],
  );
  const told = await note();
  expect(told).toContain(
    `forwarding events of ${testWorkspaceId} to ${receiver.baseUrl}/hooks?a=b`,
  );
  expect(await line()).toMatch(new RegExp(`^204 {2}\\d+ ms {2}forwarded\\.first {2}${first}$`));
  const second = await create('forwarded.second');
  expect(await line()).toMatch(new RegExp(`forwarded\\.second {2}${second}$`));
  const requests = receiver.at('/hooks?a=b');
  expect(requests.map(({ id }) => id)).toEqual([first, second]);
  for (const { id, headers, body } of requests) {
    const verified = new Webhook(secretIn(told)).verify(body, headers as Record<string, string>);
    expect(verified).toMatchObject({ id, workspace_id: testWorkspaceId });
    expect(verified).not.toHaveProperty('api_key_id');
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'harbor-attempt': '1' });
  }
  expect(requests[0]?.headers).not.toHaveProperty('harbor-previous-sequence');
  expect(requests[1]?.headers).toMatchObject({
    'harbor-previous-sequence': `${requests[0]?.sequence}`,
  });
  expect(await stop()).toEqual([0, null]);
});

test('listen signs with the same secret at each run, or with the one that it is given', async () => {
  const target = ['--forward-to', `${receiver.baseUrl}/signed`];
  const [one, another] = [listen(...target).note(), listen(...target).note()];
  expect(secretIn(await one)).toMatch(/^whsec_[0-9A-Za-z+/]{43}=$/);
  expect(await one).toBe(await another);
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
  const id = await create('signed.given');
  const given = listen(
    ...['--forward-to', `${receiver.baseUrl}/given`, '--secret', secret, '--type', 'signed.given'],
  );
  expect(await given.note()).not.toContain('whsec_');
  await given.line();
  const [request] = receiver.at('/given');
  expect(request?.id).toBe(id);
  expect(() =>
    new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>),
  ).not.toThrow();
});

test('a receiver that is down, or answers with a redirect, is told of, and the next event is sent', async () => {
  const away = await startReceiver();
  await away.close();
  await create('away.first');
  await create('away.second');
  const down = listen('--forward-to', `${away.baseUrl}/`, '--type', 'away.*');
  expect(await down.line()).toMatch(/^connection refused {2}\d+ ms {2}away\.first {2}evt_\w{26}$/);
  expect(await down.line()).toMatch(/^connection refused .* away\.second /);
  receiver.answer = () => ({ status: 307, headers: { location: `${receiver.baseUrl}/elsewhere` } });
  const moved = listen('--forward-to', `${receiver.baseUrl}/moved`, '--type', 'away.*');
  expect(await moved.line()).toMatch(/^307 /);
  expect(await moved.line()).toMatch(/^307 /);
  receiver.answer = () => 204;
  expect(receiver.at('/elsewhere')).toEqual([]);
});

test('an interrupt ends listen at once, though the receiver never answers', async () => {
  await create('silent.one');
  receiver.answer = () => 'nothing';
  const { stop } = listen('--forward-to', `${receiver.baseUrl}/silent`, '--type', 'silent.*');
  await receiver.waitFor('/silent', 1);
  expect(await stop()).toEqual([0, null]);
  receiver.answer = () => 204;
});

test("listen --print prints events as tail does, without the service's own unless they are asked for", async () => {
  const erased = await create('printed.erased');
  const response = await fetch(`${service.baseUrl}/v1/events/${erased}/erase`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await allKey()}` },
  });
  expect(response.status).toBe(200);
  const last = await create('printed.last');
  const plain = listen('--print');
  const types: string[] = [];
  while (types.at(-1) !== 'printed.last') types.push(JSON.parse(await plain.line()).type);
  expect(types.filter((type) => type.startsWith('harbor.'))).toEqual([]);
  const asked = listen('--print', '--type', 'harbor.event.*', 'printed.last');
  expect(JSON.parse(await asked.line())).toMatchObject({ type: 'harbor.event.erased' });
  expect(JSON.parse(await asked.line())).toMatchObject({ id: last });
});

async function allKey(): Promise<string> {
  const { stdout } = await runHarbor(['keys', 'create', '--scope', 'all'], {
    DATABASE_URL: service.database.url,
  });
  return stdout.trim();
}

test.each([
  [[], 'harbor: nowhere to forward to: pass --forward-to, or --print'],
  [['--forward-to', 'localhost:3000'], 'It must be a URL without a user name'],
  [['--forward-to', 'http://a:b@localhost'], 'It must be a URL without a user name'],
  [['--forward-to', 'http://localhost', '--print'], 'cannot be used with'],
  [['--print', '--secret', 'whsec_short'], 'It must be whsec_ and base64'],
])('webhooks listen %j says in one line what is wrong, and exits 1', async (args, text) => {
  const { code, stderr } = await runHarbor(['webhooks', 'listen', ...args], env());
  expect(code).toBe(1);
  expect(stderr).toContain(text);
  expect(stderr).not.toMatch(/\n\s+at /);
});
