import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDeliveryLab, type DeliveryLab, labWorkspace } from '../support/delivery-lab.ts';
import { fillLog, moveFloor } from '../support/filled-log.ts';
import { type Receiver, startReceiver } from '../support/webhook-receiver.ts';
import { startWebhookService } from '../support/webhook-service.ts';

let lab: DeliveryLab;
let receiver: Receiver;

beforeEach(async () => {
  [lab, receiver] = await Promise.all([createDeliveryLab(), startReceiver()]);
  await lab.database.query('update workspaces set retention_days = 7 where id = $1', [
    labWorkspace,
  ]);
});
afterEach(async () => {
  await lab.close();
  await receiver.close();
});

const dayMs = 24 * 60 * 60_000;
const daysAgo = (days: number) => new Date(Date.now() - days * dayMs);
const fill = (count: number, createdAt: Date, type = 'order.paid') =>
  fillLog(
    lab.database,
    labWorkspace,
    Array.from({ length: count }, () => ({ type, createdAt })),
  );
const told = () =>
  lab.database.query<{ type: string; payload: Record<string, unknown> }>(
    `select type, payload from events where type like 'harbor.%' order by sequence`,
  );
const pause = (id: string) =>
  lab.database.query(
    `update webhook_endpoints set status = 'paused', touched_at = clock_timestamp() where id = $1`,
    [id],
  );
const addPaused = async (typePatterns: string[] = []) => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, typePatterns });
  await pause(id);
  return id;
};
const positionOf = async (id: string) =>
  (await lab.row('select position::int from webhook_cursors where id = $1', [id])).position;
const { signal } = new AbortController();

test('a loss is told of once before it comes, whoever looks, and once when it has come', async () => {
  await addPaused();
  const oldest = daysAgo(6.5);
  await fill(10, oldest);
  await fill(10, daysAgo(5));
  const senders = await Promise.all([lab.start(), lab.start(), lab.start()]);
  const tell = () => Promise.all(senders.map(({ losses }) => losses.tell(signal)));
  await tell();
  await tell();
  const type = 'harbor.webhook_endpoint.events_expired';
  const warning = {
    type,
    payload: {
      endpoint_id: expect.stringMatching(/^whe_/),
      url: `${receiver.baseUrl}/hooks`,
      state: 'expiring',
      first_sequence: 1,
      last_sequence: 10,
      expires_at: new Date(oldest.getTime() + 7 * dayMs).toISOString(),
    },
  };
  expect(await told()).toEqual([warning]);
  await moveFloor(lab.database, labWorkspace, 11);
  await tell();
  await tell();
  const { endpoint_id, url } = (await told())[0]?.payload ?? {};
  const loss = {
    endpoint_id,
    url,
    state: 'expired',
    first_sequence: 1,
    last_sequence: 10,
    count: 10,
  };
  expect(await told()).toEqual([warning, { type, payload: loss }]);
});

test('while a loss goes on it is told of once an hour, with nothing left out and nothing twice', async () => {
  const id = await addPaused();
  await fill(30, daysAgo(5));
  const { losses } = await lab.start();
  for (const floor of [11, 13, 16]) {
    await moveFloor(lab.database, labWorkspace, floor);
    await losses.tell(signal);
  }
  const ranges = async () =>
    (await told()).map(({ payload: { first_sequence, last_sequence, count } }) => [
      first_sequence,
      last_sequence,
      count,
    ]);
  expect(await ranges()).toEqual([[1, 10, 10]]);
  await lab.database.query(
    `update webhook_cursors set lost_told_at = now() - interval '61 minutes' where id = $1`,
    [id],
  );
  await losses.tell(signal);
  await losses.tell(signal);
  expect(await ranges()).toEqual([
    [1, 10, 10],
    [11, 15, 5],
  ]);
  expect(await positionOf(id)).toBe(15);
});

test('the next warning comes for what the last one did not name, and not before that is near', async () => {
  await addPaused();
  await fill(5, daysAgo(6.9));
  await fill(5, daysAgo(6.1));
  const { losses } = await lab.start();
  await losses.tell(signal);
  await moveFloor(lab.database, labWorkspace, 6);
  await losses.tell(signal);
  const states = async () =>
    (await told()).map(({ payload }) => [
      payload.state,
      payload.first_sequence,
      payload.last_sequence,
    ]);
  expect(await states()).toEqual([
    ['expiring', 1, 5],
    ['expired', 1, 5],
  ]);
  await lab.database.query('update workspaces set retention_days = 6 where id = $1', [
    labWorkspace,
  ]);
  await losses.tell(signal);
  expect((await states()).slice(2)).toEqual([['expiring', 6, 10]]);
});

test('nobody is warned of events that are not for the endpoint: it goes past them', async () => {
  const id = await addPaused(['invoice.*']);
  await fill(10, daysAgo(6.5));
  const { losses } = await lab.start();
  await losses.tell(signal);
  expect(await told()).toEqual([]);
  expect(await positionOf(id)).toBe(10);
  await fill(1, daysAgo(6.4), 'invoice.paid');
  await losses.tell(signal);
  expect(await told()).toMatchObject([{ payload: { state: 'expiring', first_sequence: 11 } }]);
});

test('what an endpoint has failed to take and waits for is warned of as well', async () => {
  await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(3, daysAgo(6.5));
  receiver.answer = () => 500;
  const { losses } = await lab.start({ schedule: { retryAfterMs: [3_600_000] } });
  const waiting = () => lab.row('select count(*)::int from webhook_work where not in_flight');
  await expect.poll(waiting).toEqual({ count: 3 });
  await losses.tell(signal);
  await losses.tell(signal);
  expect(await told()).toMatchObject([
    { payload: { state: 'expiring', first_sequence: 1, last_sequence: 3 } },
  ]);
});

test('a paused replay is warned of, and what it has lost is told by its id', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await lab.database.query('update webhook_cursors set position = 8');
  await fill(8, daysAgo(6.5));
  const replay = await lab.addReplay(id, { after: 2, end: 6 });
  await lab.database.query(`update webhook_cursors set state = 'paused' where id = $1`, [replay]);
  const { losses } = await lab.start();
  await losses.tell(signal);
  await moveFloor(lab.database, labWorkspace, 9);
  await losses.tell(signal);
  const replayed = {
    replay_id: expect.stringMatching(/^rpl_/),
    first_sequence: 3,
    last_sequence: 6,
  };
  expect(await told()).toMatchObject([
    { payload: { state: 'expiring', ...replayed } },
    { payload: { state: 'expired', count: 4, ...replayed } },
  ]);
});

test('what could not be told is not noted as told', async () => {
  await addPaused();
  await fill(5, daysAgo(6.5));
  const sender = await lab.start();
  // The counter of the workspace, which the event needs, is somebody else's for longer than it is waited for.
  const holder = await lab.database.connect();
  await holder.query('begin');
  await holder.query('select from workspaces where id = $1 for update', [labWorkspace]);
  await sender.losses.tell(signal);
  await holder.query('rollback');
  await holder.end();
  expect(sender.errors.splice(0)).toHaveLength(1);
  expect(await told()).toEqual([]);
  await sender.losses.tell(signal);
  expect(await told()).toMatchObject([{ payload: { state: 'expiring', first_sequence: 1 } }]);
});

test('a service that starts tells of what will be lost, and who asks for it is sent it', async () => {
  const service = await startWebhookService();
  try {
    const { workspaceId } = service;
    const id = await service.makeEndpoint('/paused', { workspaceId });
    await service.webhooks().pauseWebhookEndpoint({ id });
    await service.makeEndpoint('/watch', { workspaceId, typePatterns: ['harbor.*'] });
    await fillLog(service.database, workspaceId, [{ type: 'a', createdAt: daysAgo(6.5) }]);
    await service.database.query('update workspaces set retention_days = 7 where id = $1', [
      workspaceId,
    ]);
    const other = await startWebhookService({}, service.database);
    await service.receiver.waitFor('/watch', 1).finally(() => other.stop());
    expect(JSON.parse(service.receiver.at('/watch')[0]?.body ?? '')).toMatchObject({
      type: 'harbor.webhook_endpoint.events_expired',
      payload: { endpoint_id: id, state: 'expiring', first_sequence: 1, last_sequence: 1 },
    });
  } finally {
    await service.stop();
  }
});
