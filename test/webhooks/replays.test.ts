import { afterEach, beforeEach, expect, test } from 'vitest';
import { idOf } from '../../src/type-id.ts';
import { createDeliveryLab, type DeliveryLab, labWorkspace } from '../support/delivery-lab.ts';
import { fillLog } from '../support/filled-log.ts';
import { type Receiver, startReceiver } from '../support/webhook-receiver.ts';

let lab: DeliveryLab;
let receiver: Receiver;

beforeEach(async () => {
  [lab, receiver] = await Promise.all([createDeliveryLab(), startReceiver()]);
});
afterEach(async () => {
  await lab.close();
  await receiver.close();
});

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const fill = (count: number, typeOf: (n: number) => string = () => 'order.paid') =>
  fillLog(
    lab.database,
    labWorkspace,
    upTo(count).map((n) => ({ type: typeOf(n) })),
  );
const cursorOf = (id: string) =>
  lab.row<Record<string, unknown>>(
    `select state, position::int, unfinished, succeeded::int, failed::int, ended_at is not null as has_ended
     from webhook_cursors where id = $1`,
    [id],
  );
const sent = (replay: string) =>
  receiver.received.filter(({ headers }) => headers['harbor-replay'] === idOf('rpl', replay));
const sequencesOf = (replay: string) =>
  sent(replay)
    .map(({ sequence }) => sequence)
    .sort((a, b) => a - b);
const setState = (id: string, state: string) =>
  lab.database.query(
    `with cursor as (update webhook_cursors set state = $2 where id = $1 returning endpoint_id)
     update webhook_endpoints set touched_at = clock_timestamp() from cursor where id = endpoint_id`,
    [id, state],
  );

test('a replay sends its range beside the live feed, says that it is one, and ends', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(50);
  await Promise.all([lab.start(), lab.start()]);
  await lab.settled(id);
  const replay = await lab.addReplay(id, { after: 9, end: 30 });
  await expect.poll(async () => (await cursorOf(replay)).state, { timeout: 20_000 }).toBe('done');
  expect(sequencesOf(replay)).toEqual(upTo(30).slice(9));
  expect(await cursorOf(replay)).toEqual({
    state: 'done',
    position: 30,
    unfinished: 0,
    succeeded: 21,
    failed: 0,
    has_ended: true,
  });
  expect(receiver.received).toHaveLength(50 + 21);
});

test('a replay without a match ends too, and one whose last delivery is given up', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(5);
  const empty = await lab.addReplay(id, { end: 5, typePatterns: ['nothing.*'] });
  receiver.answer = ({ headers }) => (headers['harbor-replay'] === undefined ? 204 : 500);
  const failing = await lab.addReplay(id, { end: 5 });
  await lab.start({ schedule: { circuitFailures: 1_000 } });
  await expect.poll(() => cursorOf(empty)).toMatchObject({ state: 'done', position: 5 });
  await expect
    .poll(() => cursorOf(failing), { timeout: 20_000 })
    .toMatchObject({ state: 'done', failed: 5, unfinished: 0 });
});

test('a rare type is found in a long log without reading through it', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, typePatterns: ['rare'] });
  await fill(20_000, (n) => (n % 4_000 === 0 ? 'rare' : 'common'));
  const sender = await lab.start();
  await lab.settled(id);
  expect(receiver.received.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual([
    4_000, 8_000, 12_000, 16_000, 20_000,
  ]);
  const reads = sender.statements.filter(({ name }) => name === 'harbor_list_asc');
  expect(reads.length).toBeLessThan(5);
});

test('a replay of what has failed sends that alone, and not what a retry has made good', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  receiver.answer = ({ sequence }) => (sequence % 10 === 0 ? 500 : 204);
  await fill(50);
  await lab.start({ schedule: { retryAfterMs: [], circuitFailures: 1_000 } });
  await lab.settled(id);
  receiver.answer = () => 204;
  // A caller asks for one of them again.
  await lab.database.query(
    `insert into webhook_work (window_id, place, workspace_id, cursor_id, endpoint_id, event_id, sequence,
       previous_sequence, attempts, tries, is_manual, due_at)
     select window_id, place, workspace_id, cursor_id, endpoint_id, event_id, sequence, previous_sequence, attempt,
       0, true, clock_timestamp() from webhook_attempts where sequence = 20`,
  );
  await lab.database.query('update webhook_states set next_work_at = clock_timestamp()');
  await lab.settled(id);
  const replay = await lab.addReplay(id, { end: 50, onlyFailed: true });
  await expect.poll(async () => (await cursorOf(replay)).state, { timeout: 20_000 }).toBe('done');
  expect(sequencesOf(replay)).toEqual([10, 30, 40, 50]);
  expect(await cursorOf(id)).toMatchObject({ succeeded: 45, failed: 5, unfinished: 0 });
});

test('a paused replay sends nothing until it goes on, and a cancelled one no more at all', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(200);
  await lab.start({ schedule: { circuitFailures: 1_000 } });
  await lab.settled(id);
  const replay = await lab.addReplay(id, { end: 200, maxPerSecond: 20 });
  await expect.poll(() => sent(replay).length).toBeGreaterThan(5);
  await setState(replay, 'paused');
  await expect.poll(async () => (await cursorOf(replay)).unfinished).toBe(0);
  const { position } = await cursorOf(replay);
  await fill(5);
  await lab.settled(id);
  expect((await cursorOf(replay)).position).toBe(position);
  await setState(replay, 'running');
  const before = sent(replay).length;
  await expect.poll(() => sent(replay).length).toBeGreaterThan(before);
  await setState(replay, 'cancelled');
  await fill(5);
  await lab.settled(id);
  expect((await cursorOf(replay)).state).toBe('cancelled');
  expect(sent(replay).length).toBeLessThan(200);
});

test('what waits of a cancelled replay goes, and is sent no more', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(5);
  receiver.answer = ({ headers }) => (headers['harbor-replay'] === undefined ? 204 : 500);
  const replay = await lab.addReplay(id, { end: 5 });
  await lab.start({ schedule: { retryAfterMs: [1_500], circuitFailures: 1_000 } });
  await expect.poll(() => lab.row('select count(*)::int from webhook_work')).toEqual({ count: 5 });
  await setState(replay, 'cancelled');
  await lab.settled(id);
  expect(sent(replay)).toHaveLength(5);
});

test('a feed from the past goes at its pace until it has caught up, and then without one', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 100 });
  await lab.database.query('update webhook_cursors set max_per_second = 40 where id = $1', [id]);
  await fill(100);
  await Promise.all([lab.start(), lab.start()]);
  await lab.settled(id);
  const most = await lab.row(
    `select max(count)::int as most from (
       select count(*) over (order by started_at range between current row and interval '1 second' following) as count
       from webhook_attempts) as counted`,
  );
  expect(most.most).toBeLessThanOrEqual(80);
  await fill(1);
  await lab.settled(id);
  const cursor = await lab.row('select max_per_second from webhook_cursors where id = $1', [id]);
  expect(cursor).toEqual({ max_per_second: null });
  expect(receiver.received.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual(
    upTo(101),
  );
});
