import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DeliveryState } from '../gen/typescript/harbor/webhooks/v1/delivery_pb.ts';
import { ReplayState } from '../gen/typescript/harbor/webhooks/v1/replay_pb.ts';
import { type CliResult, runHarbor } from './support/harbor-cli.ts';
import { startWebhookService, type WebhookService } from './support/webhook-service.ts';

let service: WebhookService;
/** Of the test that runs. */
let workspaceId: string;

beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  workspaceId = await service.makeWorkspace();
  service.receiver.answer = () => 204;
});

const webhooks = (...args: string[]): Promise<CliResult> =>
  runHarbor(['webhooks', ...args], {
    HARBOR_BASE_URL: service.baseUrl,
    HARBOR_SECRET_KEY: service.secretKey,
    HARBOR_WORKSPACE_ID: workspaceId,
  });

/** What a command has printed, which has gone well: JSON line by line. */
async function rowsOf(...args: string[]) {
  const { code, stdout, stderr } = await webhooks(...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** Waits until so many deliveries of an endpoint are in a state. */
const waitForDeliveries = (endpointId: string, state: DeliveryState, count: number) =>
  expect
    .poll(
      async () =>
        (await service.webhooks().listDeliveries({ endpointId, state })).deliveries.length,
      { timeout: 20_000 },
    )
    .toBe(count);

test('create prints the secret and nothing else on stdout, and by it the receiver verifies what comes', async () => {
  const { code, stdout, stderr } = await webhooks(
    ...['create', `${service.receiver.baseUrl}/cli`, '--type', 'invoice.*', '--timeout', '5s'],
    ...['--header', 'x-tenant=a=b', '--ordering', 'subject', '--description', 'Billing'],
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(/^whsec_[0-9A-Za-z+/]{43}=\n$/);
  const id = /whe_\w{26}/.exec(stderr)?.[0] ?? '';
  await service.createEvents(workspaceId, ['order.placed', 'invoice.paid']);
  await service.receiver.waitFor('/cli', 1);
  const [request] = service.receiver.at('/cli');
  const headers = request?.headers as Record<string, string>;
  expect(new Webhook(stdout.trim()).verify(request?.body ?? '', headers)).toMatchObject({
    type: 'invoice.paid',
  });
  expect(headers['x-tenant']).toBe('a=b');
  expect(await webhooks('secret', id)).toMatchObject({ code: 0, stdout });
  expect(await rowsOf('list')).toMatchObject([
    {
      id,
      workspace_id: workspaceId,
      description: 'Billing',
      type_patterns: ['invoice.*'],
      header_names: ['x-tenant'],
      timeout_ms: 5_000,
      ordering: 'subject',
      status: 'enabled',
      lag: expect.any(Number),
    },
  ]);
});

test('create with a request id makes one endpoint, and says where its secret is', async () => {
  const args = [
    'create',
    `${service.receiver.baseUrl}/once`,
    '--request-id',
    `once ${workspaceId}`,
  ];
  const first = await webhooks(...args);
  const again = await webhooks(...args);
  const id = /whe_\w{26}/.exec(first.stderr)?.[0] ?? '';
  expect(again).toEqual({
    code: 0,
    stdout: '',
    stderr: `${id} was created before by this request id; its secret is shown by "webhooks secret ${id}"\n`,
  });
});

test('an endpoint is created from the past, paused, and goes on where it stood, or from now', async () => {
  await service.createEvents(workspaceId, ['past.one', 'past.two', 'past.three']);
  const { stderr } = await webhooks('create', `${service.receiver.baseUrl}/past`, '--after', '1');
  const id = /whe_\w{26}/.exec(stderr)?.[0] ?? '';
  await service.receiver.waitFor('/past', 2);
  const sequences = () => service.receiver.at('/past').map(({ sequence }) => sequence);
  expect(sequences().toSorted()).toEqual([2, 3]);
  expect(await webhooks('pause', id)).toMatchObject({ code: 0, stdout: `paused ${id}\n` });
  expect(await rowsOf('list')).toMatchObject([{ id, status: 'paused' }]);
  await service.createEvents(workspaceId, ['past.four']);
  expect(await webhooks('resume', id)).toMatchObject({ code: 0, stdout: `resumed ${id}\n` });
  await service.receiver.waitFor('/past', 3);
  await service.webhooks().pauseWebhookEndpoint({ id });
  await service.createEvents(workspaceId, ['past.left-out']);
  expect(await webhooks('resume', id, '--from-now')).toMatchObject({ code: 0 });
  await service.createEvents(workspaceId, ['past.six']);
  await service.receiver.waitFor('/past', 4);
  expect(sequences().toSorted()).toEqual([2, 3, 4, 6]);
});

test('deliveries and their requests are listed, and one that failed is sent again', async () => {
  const id = await service.makeEndpoint('/failing', { workspaceId });
  service.receiver.answer = () => 500;
  const [eventId] = await service.createEvents(workspaceId, ['failing.one']);
  await waitForDeliveries(id, DeliveryState.FAILED, 1);
  const [delivery] = await rowsOf('deliveries', id, '--event', eventId ?? '');
  expect(delivery).toMatchObject({ event_id: eventId, state: 'failed', attempts: 3, sequence: 1 });
  expect(await rowsOf('deliveries', delivery.id)).toMatchObject([
    { number: 1, response_status: 500 },
    { number: 2, response_status: 500 },
    { number: 3, response_status: 500 },
  ]);
  service.receiver.answer = () => 204;
  expect(await rowsOf('retry', delivery.id)).toMatchObject([{ id: delivery.id }]);
  await waitForDeliveries(id, DeliveryState.SUCCEEDED, 1);
  expect(await rowsOf('deliveries', id, '--limit', '0')).toEqual([]);
});

test('what has failed of an endpoint is sent again at once, and it tells of the replay', async () => {
  const id = await service.makeEndpoint('/failed', { workspaceId });
  service.receiver.answer = ({ body }) => (body.includes('bad.') ? 500 : 204);
  await service.createEvents(workspaceId, ['good.one', 'bad.one', 'bad.two']);
  await waitForDeliveries(id, DeliveryState.FAILED, 2);
  service.receiver.answer = () => 204;
  const [replay] = await rowsOf('retry', id, '--after', '1');
  expect(replay).toMatchObject({ endpoint_id: id, only_failed: true, first_sequence: 2 });
  const replayNow = async () => (await service.webhooks().retrieveReplay({ id: replay.id })).replay;
  await expect.poll(replayNow, { timeout: 20_000 }).toMatchObject({ state: ReplayState.DONE });
  expect(await rowsOf('replays', id)).toMatchObject([
    { id: replay.id, state: 'done', succeeded: 2, failed: 0 },
  ]);
});

test('a replay is counted, created, paused, resumed and cancelled', async () => {
  const id = await service.makeEndpoint('/replayed', { workspaceId });
  await service.createEvents(workspaceId, ['a.one', 'b.two', 'a.three', 'a.four']);
  await service.receiver.waitFor('/replayed', 4);
  const range = ['replay', id, '--type', 'a.*', '--after', '1'];
  expect(await webhooks(...range, '--dry-run')).toEqual({ code: 0, stdout: '2\n', stderr: '' });
  await rowsOf(...range, '--until', '3');
  await service.receiver.waitFor('/replayed', 5);
  expect(service.receiver.at('/replayed').at(-1)).toMatchObject({
    sequence: 3,
    headers: { 'harbor-replay': expect.stringMatching(/^rpl_/) },
  });
  await service.webhooks().pauseWebhookEndpoint({ id });
  const [{ id: replayId }] = await rowsOf(...range);
  for (const [command, done] of [
    ['pause', 'paused'],
    ['resume', 'resumed'],
    ['cancel', 'cancelled'],
  ] as const) {
    expect(await webhooks(command, replayId)).toMatchObject({ stdout: `${done} ${replayId}\n` });
  }
  expect((await rowsOf('replays', id))[0]).toMatchObject({ id: replayId, state: 'cancelled' });
});

test('update changes what is named, and takes away what is empty', async () => {
  const id = await service.makeEndpoint('/before', {
    workspaceId,
    subject: 'inv_1',
    maxPerSecond: 5,
    headers: { 'x-one': '1' },
  });
  const updated = { code: 0, stdout: `updated ${id}\n`, stderr: '' };
  const url = `${service.receiver.baseUrl}/after`;
  expect(
    await webhooks('update', id, '--url', url, '--type', 'a.*', 'b', '--timeout', '5s'),
  ).toEqual(updated);
  const kept = { subject: 'inv_1', max_per_second: 5, header_names: ['x-one'] };
  const changed = { id, url, type_patterns: ['a.*', 'b'], timeout_ms: 5_000 };
  expect(await rowsOf('list')).toMatchObject([{ ...changed, ...kept }]);
  const taken = ['--subject', '', '--max-per-second', '0', '--no-headers'];
  expect(await webhooks('update', id, ...taken)).toEqual(updated);
  const [row] = await rowsOf('list');
  expect(row).toMatchObject({ ...changed, header_names: [] });
  expect(row).not.toHaveProperty('subject');
  expect(row).not.toHaveProperty('max_per_second');
  expect(await webhooks('update', id, '--header', 'x-two=2', '--ordering', 'workspace')).toEqual(
    updated,
  );
  expect(await rowsOf('list')).toMatchObject([{ header_names: ['x-two'], ordering: 'workspace' }]);
});

test('test shows what the endpoint has answered, and fails unless that is a success', async () => {
  const id = await service.makeEndpoint('/tested', { workspaceId });
  expect(await rowsOf('test', id)).toMatchObject([{ number: 1, response_status: 204 }]);
  expect(service.receiver.at('/tested')[0]?.body).toContain('harbor.webhook_endpoint.test');
  service.receiver.answer = () => 503;
  const { code, stdout } = await webhooks('test', id);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ response_status: 503 });
});

test('rotate prints the new secret alone, and both sign until the overlap ends', async () => {
  const id = await service.makeEndpoint('/rotated', { workspaceId });
  const before = (await webhooks('secret', id)).stdout.trim();
  const { code, stdout, stderr } = await webhooks('rotate', id, '--overlap', '2h');
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^whsec_[0-9A-Za-z+/]{43}=\n$/),
  });
  expect(stderr).toContain(id);
  await rowsOf('test', id);
  const [request] = service.receiver.at('/rotated');
  for (const secret of [before, stdout.trim()]) {
    const headers = request?.headers as Record<string, string>;
    new Webhook(secret).verify(request?.body ?? '', headers);
  }
  const { secrets } = await service.webhooks().revealSecret({ id });
  expect(secrets.map(({ secret }) => secret)).toEqual([stdout.trim(), before]);
  expect((await webhooks('rotate', id, '--overlap', '0')).stderr).toContain('no more');
  // The one before that is in its overlap still.
  expect((await webhooks('secret', id)).stdout).not.toContain(stdout);
  expect((await webhooks('secret', id)).stdout).toContain(before);
});

test('delete asks for the id once more, and then nothing is left of the endpoint', async () => {
  const id = await service.makeEndpoint('/deleted', { workspaceId });
  expect(await webhooks('delete', id)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`add --confirm ${id}`),
  });
  expect(await webhooks('delete', id, '--confirm', id)).toEqual({
    code: 0,
    stdout: `deleted ${id}\n`,
    stderr: '',
  });
  expect(await rowsOf('list')).toEqual([]);
});

test.each([
  [['update', 'whe_01hzy9q7x8f4kq3d2m5n6p7r8s'], 'nothing to change'],
  [['update', 'whe_1', '--url', 'nowhere'], 'It must be a URL'],
  [['update', 'whe_1', '--header', 'x=1', '--no-headers'], 'cannot be used'],
  [['rotate', 'whe_1', '--overlap', '8d'], 'at most 7d'],
  [['test', 'dlv_1'], 'It must be an id, whe_….'],
  [['create', 'ftp://example.com'], 'https'],
  [['create', 'https://example.com', '--after', '1', '--since', '2026-05-25'], 'cannot be used'],
  [['create', 'https://example.com', '--header', 'host=x'], 'host'],
  [['update', 'whe_1', '--max-in-flight', '1001'], 'It must be a whole number from 1 to 1000.'],
  [
    ['update', 'whe_1', '--max-in-flight', '0'],
    "'--max-in-flight <count>' argument '0' is invalid",
  ],
  [['update', 'whe_1', '--max-per-second', '10001'], 'It must be a whole number from 0 to 10000.'],
  [['replay', 'whe_1', '--max-per-second', '10001'], 'It must be a whole number from 1 to 10000.'],
  [['update', 'whe_1', '--timeout', '31s'], 'It must be from 1s to 30s.'],
  [['update', 'whe_1', '--timeout', '0'], 'It must be from 1s to 30s.'],
  [['pause', 'dlv_1'], 'It must be an id, whe_… or rpl_….'],
  [['pause', 'whe_01hzy9q7x8f4kq3d2m5n6p7r8s'], 'whe_01hzy9q7x8f4kq3d2m5n6p7r8s'],
  [['resume', 'rpl_01hzy9q7x8f4kq3d2m5n6p7r8s', '--from-now'], '--from-now is for endpoints'],
  [['replay', 'whe_1', '--after', '3', '--until', '2'], '--until must not be less than --after'],
  [
    ['retry', 'whe_1', '--since', '2026-05-26', '--before', '2026-05-25'],
    '--before must not be earlier than --since',
  ],
  [['retry', 'dlv_1', '--after', '1'], 'a range is for an endpoint'],
])('webhooks %j says in one line what is wrong, and exits 1', async (args, text) => {
  const { code, stdout, stderr } = await webhooks(...args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(text);
  expect(stderr).not.toMatch(/\n\s+at /);
});
