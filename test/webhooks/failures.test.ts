import { expect, test } from 'vitest';
import { type DeliveryLab, labWorkspace } from '../support/delivery-lab.ts';
import { deleteBelowFloor, fillLog, moveFloor } from '../support/filled-log.ts';
import { labOfEachTest } from '../support/lab-of-each-test.ts';
import type { Receiver } from '../support/webhook-receiver.ts';

let lab: DeliveryLab;
let receiver: Receiver;
labOfEachTest((made) => {
  ({ lab, receiver } = made);
});

const fill = (count: number) =>
  fillLog(
    lab.database,
    labWorkspace,
    Array.from({ length: count }, () => ({ type: 'order.paid' })),
  );
const attemptsOf = (sequence: number) =>
  receiver.received.filter((one) => one.sequence === sequence).map(({ attempt }) => attempt);
const stateOf = (id: string) =>
  lab.row<Record<string, unknown>>('select * from webhook_states where endpoint_id = $1', [id]);
const ownEvents = () =>
  lab.database.query<{ type: string; payload: Record<string, unknown> }>(
    `select type, payload from events where type like 'harbor.%' order by sequence`,
  );
const ownTypes = async () => (await ownEvents()).map(({ type }) => type);

test('what fails is tried again as the schedule says, and given up at its end', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(2);
  receiver.answer = ({ sequence, attempt }) => (sequence === 1 || attempt < 3 ? 500 : 204);
  await lab.start({ schedule: { circuitFailures: 1_000 } });
  await lab.settled(id);
  expect(attemptsOf(1)).toEqual([1, 2, 3, 4]);
  expect(attemptsOf(2)).toEqual([1, 2, 3]);
  const counts = await lab.row('select succeeded::int, failed::int from webhook_cursors');
  expect(counts).toEqual({ succeeded: 1, failed: 1 });
});

test('failures in a row open the circuit, a probe at a time goes through, and a success closes it', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 30 });
  await fill(60);
  receiver.answer = () => 503;
  await lab.start({
    schedule: { retryAfterMs: Array.from({ length: 200 }, () => 100), circuitFailures: 20 },
  });
  await expect
    .poll(async () => (await stateOf(id)).circuit_open_until, { timeout: 20_000 })
    .not.toBeNull();
  // With those that were on their way when it opened done, only probes come.
  await expect.poll(async () => (await stateOf(id)).in_flight).toBeLessThanOrEqual(1);
  const before = receiver.received.length;
  receiver.mostOpen.get('/hooks');
  await expect
    .poll(async () => (await stateOf(id)).circuit_wait_ms, { timeout: 20_000 })
    .toBe(1_200);
  const probes = receiver.received.length - before;
  expect(probes).toBeLessThanOrEqual(6);
  receiver.answer = () => 204;
  await lab.settled(id);
  expect(await stateOf(id)).toMatchObject({ failures: 0, circuit_open_until: null });
  const counts = await lab.row('select succeeded::int, failed::int from webhook_cursors');
  expect(counts).toEqual({ succeeded: 60, failed: 0 });
});

test('an endpoint whose deliveries wait for hours is probed by new events', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 30 });
  await fill(20);
  receiver.answer = () => 503;
  await lab.start({ schedule: { retryAfterMs: [3_600_000], circuitAfterMs: 0 } });
  await receiver.waitFor('/hooks', 20);
  await expect.poll(async () => (await stateOf(id)).circuit_open_until).not.toBeNull();
  receiver.answer = () => 204;
  await fill(10);
  await receiver.waitFor('/hooks', 30);
  await expect.poll(async () => (await stateOf(id)).circuit_open_until).toBeNull();
});

test('an endpoint that has failed for a moment is sent new events, though nothing else is tried for hours', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 30 });
  await fill(20);
  receiver.answer = () => 503;
  await lab.start({ schedule: { retryAfterMs: [3_600_000], circuitAfterMs: 60_000 } });
  await expect.poll(async () => (await stateOf(id)).failures).toBe(20);
  receiver.answer = () => 204;
  await fill(10);
  await receiver.waitFor('/hooks', 30);
  await expect.poll(async () => (await stateOf(id)).failures).toBe(0);
});

test('an endpoint whose last tries were by hand, and failed, is sent new events', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 30 });
  await fill(20);
  await lab.start({ schedule: { circuitAfterMs: 60_000 } });
  await lab.settled(id);
  receiver.answer = () => 503;
  const operator = await lab.operate();
  const sent = await lab.database.query<{ window_id: string; place: number }>(
    'select window_id, place from webhook_attempts',
  );
  for (const { window_id, place } of sent) await operator.retry(window_id, place);
  await expect.poll(async () => (await stateOf(id)).failures).toBe(20);
  receiver.answer = () => 204;
  await fill(1);
  await receiver.waitFor('/hooks', 41);
});

test('too many requests hold the endpoint for as long as it asks, and nobody else', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 1 });
  await lab.addEndpoint({ url: `${receiver.baseUrl}/other` });
  await fill(3);
  receiver.answer = ({ path, attempt, sequence }) =>
    path === '/hooks' && sequence === 1 && attempt === 1
      ? { status: 429, headers: { 'retry-after': '3600' } }
      : 204;
  await lab.start();
  await receiver.waitFor('/other', 3);
  await expect.poll(async () => (await stateOf(id)).hold_until).not.toBeNull();
  const times = await lab.row(
    `select hold_until > now() + interval '50 minutes' as is_held,
       (select min(due_at) > now() + interval '50 minutes' from webhook_work) as is_put_off
     from webhook_states where endpoint_id = $1`,
    [id],
  );
  expect(times).toEqual({ is_held: true, is_put_off: true });
  expect(receiver.at('/hooks').map(({ sequence }) => sequence)).toEqual([1]);
});

test('an endpoint that answers 410 is disabled, and its workspace told once', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(10);
  receiver.answer = () => 410;
  await Promise.all([lab.start(), lab.start()]);
  const statusOf = () =>
    lab.row('select status, disabled_reason from webhook_endpoints where id = $1', [id]);
  await expect.poll(statusOf).toEqual({ status: 'disabled', disabled_reason: 'gone' });
  await expect.poll(async () => (await stateOf(id)).in_flight).toBe(0);
  expect(await ownEvents()).toMatchObject([
    {
      type: 'harbor.webhook_endpoint.disabled',
      payload: { reason: 'gone', url: `${receiver.baseUrl}/hooks` },
    },
  ]);
});

test('a workspace is told once that an endpoint fails, and once that it recovers', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await lab.addEndpoint({
    url: `${receiver.baseUrl}/watch`,
    typePatterns: ['harbor.webhook_endpoint.*'],
  });
  await fill(5);
  receiver.answer = ({ path }) => (path === '/hooks' ? 500 : 204);
  const schedule = {
    retryAfterMs: Array.from({ length: 200 }, () => 50),
    tellAfterMs: 300,
    circuitWaitMs: { first: 100, most: 100 },
  };
  await Promise.all([lab.start({ schedule }), lab.start({ schedule })]);
  await receiver.waitFor('/watch', 1);
  receiver.answer = () => 204;
  await lab.settled(id);
  await receiver.waitFor('/watch', 2);
  expect(await ownTypes()).toEqual([
    'harbor.webhook_endpoint.failing',
    'harbor.webhook_endpoint.recovered',
  ]);
});

test('an endpoint with nothing but failures for too long is disabled', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(5);
  receiver.answer = () => 500;
  const schedule = { retryAfterMs: Array.from({ length: 200 }, () => 50), disableAfterMs: 300 };
  await lab.start({ schedule });
  const statusOf = () =>
    lab.row('select status, disabled_reason from webhook_endpoints where id = $1', [id]);
  await expect.poll(statusOf).toEqual({ status: 'disabled', disabled_reason: 'failing' });
  expect(await ownTypes()).toContain('harbor.webhook_endpoint.disabled');
});

test('events that retention has taken before they were sent are told of, and passed', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(20);
  await lab.database.query('update workspaces set first_sequence = 15 where id = $1', [
    labWorkspace,
  ]);
  await Promise.all([lab.start(), lab.start()]);
  await receiver.waitFor('/hooks', 6);
  await lab.settled(id);
  const sequences = receiver.at('/hooks').map(({ sequence }) => sequence);
  expect(sequences.sort((a, b) => a - b)).toEqual([15, 16, 17, 18, 19, 20]);
  expect(await ownEvents()).toMatchObject([
    {
      type: 'harbor.webhook_endpoint.events_expired',
      payload: { first_sequence: 1, last_sequence: 14 },
    },
  ]);
});

test('a floor that moves between two looks is seen when the log is read', async () => {
  await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  const sender = await lab.start({ lookEveryMs: 60_000 });
  const names = () => sender.statements.map(({ name }) => name);
  await expect.poll(names).toContain('harbor_webhooks_read_cursors');
  await fill(20);
  await moveFloor(lab.database, labWorkspace, 15);
  await deleteBelowFloor(lab.database, labWorkspace);
  await expect
    .poll(() => {
      sender.engine.wake(labWorkspace, 20, 'here');
      return receiver.at('/hooks').length;
    })
    .toBe(6);
  expect(await ownEvents()).toMatchObject([{ payload: { first_sequence: 1, last_sequence: 14 } }]);
});

test('what retention has taken while it waited says nothing of its endpoint, and is no probe of it', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 30 });
  await fill(20);
  receiver.answer = () => 503;
  const circuitWaitMs = { first: 1_000, most: 600_000 };
  await lab.start({ schedule: { retryAfterMs: [100], circuitAfterMs: 0, circuitWaitMs } });
  await expect.poll(async () => (await stateOf(id)).circuit_open_until).not.toBeNull();
  const { failures } = await stateOf(id);
  await fill(1);
  await moveFloor(lab.database, labWorkspace, 21);
  await deleteBelowFloor(lab.database, labWorkspace);
  receiver.answer = ({ sequence }) => (sequence === 21 ? 'nothing' : 503);
  await receiver.waitFor('/hooks', 21);
  expect(await stateOf(id)).toMatchObject({ failures, circuit_wait_ms: 1_000 });
  const given = await lab.row('select failed::int, unfinished from webhook_cursors');
  expect(given).toEqual({ failed: 20, unfinished: 1 });
});
