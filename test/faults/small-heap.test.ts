import { randomBytes } from 'node:crypto';
import { type ClientHttp2Session, connect } from 'node:http2';
import { createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebhooksService } from '../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { uuidOf } from '../../src/type-id.ts';
import { createEventsClient, createTransport } from '../support/clients.ts';
import { type ServiceProcess, startServiceProcess } from '../support/service-process.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService } from '../support/test-service.ts';
import { type Receiver, startReceiver } from '../support/webhook-receiver.ts';

const workspaceIds = ['ws_heavy0', 'ws_heavy1', 'ws_heavy2', 'ws_heavy3'];

let database: TestDatabase;
let receiver: Receiver;
let victim: ServiceProcess;
const secretKeys: string[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  const service = await startTestService({}, database);
  for (const workspaceId of workspaceIds) {
    await service.app.workspaces.create(workspaceId, '');
    secretKeys.push(await service.issueKey({ kind: 'secret', scopes: ['all'] }));
  }
  await service.stop();
  // A receiver that answers nothing: what is sent to it stays in memory.
  receiver = await startReceiver();
  receiver.answer = () => 'nothing';
  victim = await startServiceProcess(database.url, {
    NODE_OPTIONS: '--max-old-space-size=256 --max-semi-space-size=16',
    HARBOR_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
  });
});
afterAll(async () => {
  await victim.kill('SIGKILL');
  await receiver.close();
  await database.drop();
});

/** Batches of what of all JSON becomes most of objects, and of what becomes most of text. */
const contents = {
  digits: { json: `[${'1,'.repeat(120_000)}1]`, count: 30 },
  text: { json: JSON.stringify('x'.repeat(250_000)), count: 31 },
};

function batchOf(workspaceId: string, { json, count }: { json: string; count: number }): Buffer {
  const event = `{"workspaceId":"${workspaceId}","type":"heavy","payload":{"a":${json}}}`;
  return Buffer.from(`{"requests":[${new Array(count).fill(event).join(',')}]}`);
}

interface HeavyCall {
  readonly rpc: string;
  readonly secretKey: string;
  readonly body: Buffer;
  /** Opens a stream: the body goes in an envelope. */
  readonly isStream?: boolean;
  /** The body goes on, and nothing more of it is sent. */
  readonly isUnfinished?: boolean;
}

const sessions: ClientHttp2Session[] = [];

/** @param isReading whether answers are taken at all. */
function openSession(isReading: boolean): ClientHttp2Session {
  const session = connect(victim.baseUrl, {
    // By itself Node's client gives up answers while more than 10 MB of its requests wait to be sent.
    maxSessionMemory: 1_000,
    settings: isReading ? {} : { initialWindowSize: 0 },
  });
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
}

/** Resolves when it is over, however it ends, with status and text of its answer. */
function send(session: ClientHttp2Session, call: HeavyCall) {
  const { rpc, secretKey, body, isStream = false, isUnfinished = false } = call;
  return new Promise<{ status: number; text: string }>((resolve) => {
    const request = session.request({
      ':method': 'POST',
      ':path': `/harbor.events.v1.EventsService/${rpc}`,
      'content-type': isStream ? 'application/connect+json' : 'application/json',
      ...(secretKey !== '' && { authorization: `Bearer ${secretKey}` }),
    });
    const chunks: Buffer[] = [];
    let status = 0;
    request.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('close', () => resolve({ status, text: Buffer.concat(chunks).toString('latin1') }));
    const head = Buffer.alloc(isStream ? 5 : 0);
    if (isStream) head.writeUInt32BE(body.length, 1);
    if (isUnfinished) request.write(body);
    else request.end(Buffer.concat([head, body]));
  });
}

interface Told {
  /** The ids of events that answers to batches have acknowledged. */
  readonly acknowledged: string[];
  /** Batches that were refused, and items of others. */
  refused: number;
}

/** Sends a batch, whatever becomes of it. */
async function sendBatch(index: number, content: keyof typeof contents, told: Told): Promise<void> {
  const session = openSession(true);
  const secretKey = `${secretKeys[index]}`;
  const body = batchOf(`${workspaceIds[index]}`, contents[content]);
  const { status, text } = await send(session, { rpc: 'BatchCreateEvents', secretKey, body });
  const ids = [...text.matchAll(/"id":"(evt_[0-9a-z]{26})"/g)].map(([, id]) => `${id}`);
  told.acknowledged.push(...ids);
  told.refused += status === 200 ? [...text.matchAll(/"error":\{/g)].length : 1;
}

/** Resolves with the id of a small event. */
async function createLight(index: number): Promise<string> {
  const secretKey = `${secretKeys[index]}`;
  const client = createEventsClient({ baseUrl: victim.baseUrl, secretKey });
  const workspaceId = `${workspaceIds[index]}`;
  const { event } = await client.createEvent({ workspaceId, type: 'light', payload: {} });
  return `${event?.id}`;
}

/** Calls again and again until its session ends. */
async function keepSending(session: ClientHttp2Session, call: HeavyCall): Promise<void> {
  while (!session.destroyed && !session.closed) await send(session, call);
}

test('a process with a heap of 256 MB that is asked for what holds most refuses, and lives: it answers, and nothing that it acknowledged is missing', async () => {
  const hooks = createClient(
    WebhooksService,
    createTransport('grpc', victim.baseUrl, `${secretKeys[0]}`),
  );
  for (const workspaceId of workspaceIds) {
    await hooks.createWebhookEndpoint({ workspaceId, url: `${receiver.baseUrl}/held` });
  }
  // Keys that are known: what is refused from here on is refused for want of room.
  const light = await Promise.all(secretKeys.map((_, index) => createLight(index)));
  const list = (index: number) => ({
    rpc: 'ListEvents',
    secretKey: `${secretKeys[index % 4]}`,
    body: Buffer.from(`{"workspaceId":"${workspaceIds[index % 4]}","pageSize":500}`),
  });
  const follow = (index: number) => ({
    rpc: 'SubscribeEvents',
    secretKey: `${secretKeys[index % 4]}`,
    body: Buffer.from(`{"workspaceId":"${workspaceIds[index % 4]}","afterSequence":"0"}`),
    isStream: true,
  });
  const slow = { rpc: 'BatchCreateEvents', body: Buffer.alloc(300_000, ' '), isUnfinished: true };
  const [reading, deaf] = [openSession(true), openSession(false)];
  const deafToo = openSession(false);
  const background = [
    ...Array.from({ length: 8 }, (_, index) => keepSending(reading, list(index))),
    ...Array.from({ length: 20 }, (_, index) => keepSending(reading, follow(index))),
    ...Array.from({ length: 40 }, (_, index) => keepSending(deaf, list(index))),
    ...Array.from({ length: 40 }, (_, index) => keepSending(deafToo, follow(index))),
    ...Array.from({ length: 10 }, () => keepSending(openSession(true), { ...slow, secretKey: '' })),
    ...secretKeys.map((secretKey) => keepSending(openSession(true), { ...slow, secretKey })),
  ];
  const told: Told = { acknowledged: [...light], refused: 0 };
  // Creates wait, and hold what was made of their bodies.
  const blocker = await database.connect();
  await blocker.query('begin');
  await blocker.query('select from workspaces where id = any($1) for update', [workspaceIds]);
  await Promise.race([
    victim.ended,
    Promise.all(Array.from({ length: 16 }, (_, at) => sendBatch(at % 4, 'digits', told))),
  ]);
  await blocker.end();
  await Promise.race([
    victim.ended,
    Promise.all(Array.from({ length: 8 }, (_, at) => sendBatch(at % 4, 'text', told))),
  ]);
  expect(receiver.at('/held')).not.toEqual([]);
  for (const session of sessions) session.destroy();
  await Promise.all(background);

  expect([victim.child.exitCode, victim.child.signalCode]).toEqual([null, null]);
  await expect.poll(() => createLight(0).catch(String)).toMatch(/^evt_/);
  const { acknowledged, refused } = told;
  expect(refused).toBeGreaterThan(0);
  expect(acknowledged.length).toBeGreaterThan(light.length);
  const [row] = await database.query<{ count: string }>(
    'select count(*) from events where id = any($1::uuid[])',
    [acknowledged.map(uuidOf)],
  );
  expect(Number(row?.count)).toBe(new Set(acknowledged).size);
}, 60_000);
