import { expect, test } from 'vitest';
import { idOf } from '../../src/type-id.ts';
import { type DeliveryLab, labWorkspace } from '../support/delivery-lab.ts';
import { fillLog } from '../support/filled-log.ts';
import { labOfEachTest } from '../support/lab-of-each-test.ts';
import type { Received, Receiver } from '../support/webhook-receiver.ts';

let lab: DeliveryLab;
let receiver: Receiver;
labOfEachTest((made) => {
  ({ lab, receiver } = made);
});

const fill = (count: number) =>
  fillLog(
    lab.database,
    labWorkspace,
    Array.from({ length: count }, (_, index) => ({ type: 'order.paid', payload: { index } })),
  );
const sequencesAt = (path: string) =>
  receiver
    .at(path)
    .map(({ sequence }) => sequence)
    .sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const countRecorded = () => lab.row('select count(*)::int as recorded from webhook_attempts');

test('each match is delivered once to each endpoint, by two processes', async () => {
  const events = upTo(1_500).map((n) => ({
    type: n % 3 === 0 ? 'invoice.sent' : 'order.paid',
    subject: `customer-${n % 7}`,
  }));
  await fillLog(lab.database, labWorkspace, events);
  const all = await lab.addEndpoint({ url: `${receiver.baseUrl}/all`, maxInFlight: 200 });
  const some = await lab.addEndpoint({
    url: `${receiver.baseUrl}/some`,
    typePatterns: ['invoice.*'],
    subject: 'customer-3',
  });
  await Promise.all([lab.start(), lab.start()]);
  await receiver.waitFor('/all', 1_500);
  await Promise.all([lab.settled(all), lab.settled(some)]);
  const wanted = upTo(1_500).filter((n) => n % 3 === 0 && n % 7 === 3);
  expect(sequencesAt('/all')).toEqual(upTo(1_500));
  expect(sequencesAt('/some')).toEqual(wanted);
  // Each names the match before it, which is how a receiver finds a gap.
  const previousOf = ({ headers }: Received) => Number(headers['harbor-previous-sequence'] ?? 0);
  const previous = new Map(receiver.at('/some').map((one) => [one.sequence, previousOf(one)]));
  expect(wanted.map((n) => previous.get(n))).toEqual([0, ...wanted.slice(0, -1)]);
});

test('events of the service itself come only by a pattern that asks for them, and none about the endpoint', async () => {
  const own = await lab.addEndpoint({ url: `${receiver.baseUrl}/own`, typePatterns: ['harbor.*'] });
  const all = await lab.addEndpoint({ url: `${receiver.baseUrl}/all` });
  const type = 'harbor.webhook_endpoint.failing';
  await fillLog(lab.database, labWorkspace, [
    { type, payload: { endpoint_id: idOf('whe', own) } },
    { type, payload: { endpoint_id: idOf('whe', all) } },
    { type: 'order.paid' },
  ]);
  await lab.start();
  await receiver.waitFor('/own', 1);
  await receiver.waitFor('/all', 1);
  await Promise.all([lab.settled(own), lab.settled(all)]);
  expect(sequencesAt('/own')).toEqual([2]);
  expect(sequencesAt('/all')).toEqual([3]);
});

test('what a killed process was sending is sent by another one, as the same delivery', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(8);
  receiver.answer = () => 'nothing';
  const first = await lab.start();
  await receiver.waitFor('/hooks', 8);
  await first.kill();
  receiver.answer = () => 204;
  await lab.start();
  await receiver.waitFor('/hooks', 16);
  await lab.settled(id);
  const again = receiver.at('/hooks').slice(8);
  expect(again.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 8 }, () => 2));
  const deliveries = (of: Received[]) => of.map(({ headers }) => headers['harbor-delivery']).sort();
  expect(deliveries(again)).toEqual(deliveries(receiver.at('/hooks').slice(0, 8)));
});

test('what was recorded of a window before its sender died is not sent again', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(6);
  receiver.answer = ({ sequence }) => (sequence <= 3 ? 204 : 'nothing');
  const first = await lab.start();
  await receiver.waitFor('/hooks', 6);
  await expect.poll(countRecorded).toEqual({ recorded: 3 });
  await first.kill();
  receiver.answer = () => 204;
  await lab.start();
  await lab.settled(id);
  expect(sequencesAt('/hooks')).toEqual([1, 2, 3, 4, 4, 5, 5, 6, 6]);
});

test('a process that wakes from a freeze overwrites nothing that was recorded meanwhile', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 4 });
  await fill(4);
  const held = Promise.withResolvers<number>();
  receiver.answer = () => held.promise;
  // The first one sends, and freezes before it hears what comes of that.
  const first = await lab.start();
  await receiver.waitFor('/hooks', 4);
  first.freeze();
  held.resolve(500);
  // The second one takes over, records half, and dies.
  receiver.answer = ({ sequence }) => (sequence <= 2 ? 204 : 'nothing');
  const second = await lab.start();
  await receiver.waitFor('/hooks', 8);
  await expect.poll(countRecorded).toEqual({ recorded: 2 });
  await second.kill();
  receiver.answer = () => 204;
  first.thaw();
  await lab.settled(id);
  // Its failures are too late: what had succeeded is not tried again, and none is counted.
  expect(sequencesAt('/hooks').filter((sequence) => sequence <= 2)).toEqual([1, 1, 2, 2]);
  const cursor = await lab.row('select succeeded::int, failed::int from webhook_cursors');
  expect(cursor).toEqual({ succeeded: 4, failed: 0 });
  const outcomes = await lab.row('select array_agg(distinct outcome) as all from webhook_attempts');
  expect(outcomes).toEqual({ all: ['succeeded'] });
});

test('a retry that somebody else has taken over meanwhile is recorded by them alone', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(1);
  const [held, last] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
  receiver.answer = ({ attempt }) => [500, held.promise, last.promise][attempt - 1] ?? 204;
  const first = await lab.start();
  await receiver.waitFor('/hooks', 2);
  first.freeze();
  held.resolve(500);
  await lab.start();
  await receiver.waitFor('/hooks', 3);
  const countTold = () =>
    first.statements.filter(({ name }) => name === 'harbor_webhooks_record_work').length;
  first.thaw();
  await expect.poll(countTold).toBe(1);
  last.resolve(204);
  await lab.settled(id);
  const attempts = await lab.row(
    'select array_agg(outcome order by attempt) as outcomes, max(attempt) as last from webhook_attempts',
  );
  expect(attempts).toEqual({ outcomes: ['retry', 'succeeded'], last: 3 });
});

test('a delivery that was claimed again while what came of it waited to be recorded is counted once', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(2);
  const late = Promise.withResolvers<number>();
  receiver.answer = ({ sequence, attempt }) => {
    if (attempt === 1) return 500;
    return sequence === 2 && attempt === 2 ? late.promise : 204;
  };
  const sender = await lab.start();
  const record = sender.hold('harbor_webhooks_record_work');
  await record.reached;
  // What came of the first event is on its way to PostgreSQL: what comes of the second one waits behind that.
  late.resolve(204);
  // The leases run out, and the same process claims both again.
  const isAgain = ({ attempt }: Received) => attempt === 3;
  await expect
    .poll(() => receiver.at('/hooks').filter(isAgain).length, { timeout: 10_000 })
    .toBe(2);
  record.release();
  await lab.settled(id);
  const counts = await lab.row(`select succeeded::int, (select count(*)::int from webhook_attempts
    where outcome = 'succeeded') as ends from webhook_cursors`);
  expect(counts).toEqual({ succeeded: 2, ends: 2 });
});

test('a retry that is written down while others look for what is due comes when its time has come', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  const first = Promise.withResolvers<number>();
  receiver.answer = ({ attempt }) => (attempt === 1 ? first.promise : 204);
  await fill(1);
  const { engine, holdSeen } = await lab.start({ lookEveryMs: 60_000 });
  const look = () => engine.look(new AbortController().signal);
  // The first loads what there is.
  await look();
  await look();
  await receiver.waitFor('/hooks', 1);
  const claim = await holdSeen('harbor_webhooks_claim_work');
  // As after a lease by whose end all was done.
  await lab.database.query('update webhook_states set next_work_at = clock_timestamp()');
  await look();
  await claim.reached;
  first.resolve(500);
  await expect
    .poll(() => lab.row('select count(*)::int as work from webhook_work'))
    .toEqual({ work: 1 });
  claim.release();
  await lab.start();
  await lab.settled(id);
  expect(receiver.at('/hooks').map(({ attempt }) => attempt)).toEqual([1, 2]);
});

test('an endpoint all of whose requests were retries of a killed process is sent to again', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 2 });
  await fill(4);
  receiver.answer = ({ attempt }) => (attempt === 1 ? 500 : 'nothing');
  const first = await lab.start();
  await expect
    .poll(() => receiver.at('/hooks').filter(({ attempt }) => attempt === 2).length)
    .toBe(2);
  await first.kill();
  receiver.answer = () => 204;
  await lab.start();
  await lab.settled(id);
  expect(receiver.at('/hooks').filter(({ attempt }) => attempt > 2).length).toBeGreaterThanOrEqual(
    2,
  );
});

test('a process that stops leaves the rest to others at once, long before its leases run out', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(5);
  receiver.answer = ({ sequence, attempt }) => (sequence === 1 && attempt === 1 ? 500 : 'nothing');
  const schedule = { leaseMs: 60_000 };
  const first = await lab.start({ schedule });
  // The fifth of a window and one of the work hang.
  await receiver.waitFor('/hooks', 6);
  await first.stop();
  receiver.answer = () => 204;
  await lab.start({ schedule });
  await lab.settled(id);
  expect(new Set(sequencesAt('/hooks'))).toEqual(new Set(upTo(5)));
});

test('a log whose growth nobody has told of is looked at all the same', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await lab.start();
  await fill(3);
  await receiver.waitFor('/hooks', 3);
  await lab.settled(id);
  await fill(2);
  await receiver.waitFor('/hooks', 5);
});

test('an endpoint that is made, paused and resumed while processes run is sent to just then', async () => {
  await Promise.all([lab.start(), lab.start()]);
  await fill(2);
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await receiver.waitFor('/hooks', 2);
  await lab.settled(id);
  const setStatus = (status: string) =>
    lab.database.query(
      'update webhook_endpoints set status = $2, touched_at = clock_timestamp() where id = $1',
      [id, status],
    );
  await setStatus('paused');
  await fill(3);
  const other = await lab.addEndpoint({ url: `${receiver.baseUrl}/other` });
  await receiver.waitFor('/other', 5);
  await lab.settled(other);
  expect(sequencesAt('/hooks')).toEqual(upTo(2));
  await setStatus('enabled');
  await receiver.waitFor('/hooks', 5);
  await lab.settled(id);
  expect(sequencesAt('/hooks')).toEqual(upTo(5));
});

test('a process without the key of a secret leaves the deliveries to those that have it', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(3);
  const unable = await lab.start({ encryptionKeys: [] });
  const able = await lab.start();
  await receiver.waitFor('/hooks', 3);
  await lab.settled(id);
  expect([...able.errors, ...unable.errors]).toEqual([]);
  expect(receiver.received.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
});
