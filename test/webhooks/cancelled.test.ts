import { expect, test } from 'vitest';
import { type DeliveryLab, labWorkspace } from '../support/delivery-lab.ts';
import { fillLog } from '../support/filled-log.ts';
import { labOfEachTest } from '../support/lab-of-each-test.ts';
import type { Receiver } from '../support/webhook-receiver.ts';

let lab: DeliveryLab;
let receiver: Receiver;
labOfEachTest((made) => {
  ({ lab, receiver } = made);
});

const fill = (subjects: readonly string[]) =>
  fillLog(
    lab.database,
    labWorkspace,
    subjects.map((subject) => ({ type: 'order.paid', subject })),
  );
const sequences = () => receiver.at('/hooks').map(({ sequence }) => sequence);
const waiting = async () => {
  const { count } = await lab.row<{ count: number }>(
    'select count(*)::int as count from webhook_work where not in_flight',
  );
  return count;
};
/** Whoever operates waits for somebody else's lock. */
const operatorWaits = async () => {
  const { count } = await lab.row<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity where datname = current_database()
     and application_name = 'harbor-test-operator' and wait_event_type = 'Lock'`,
  );
  return count > 0;
};
/** A retry waits for longer than a test takes. */
const schedule = { retryAfterMs: [600_000, 600_000] };

test('a replay whose last deliveries are cancelled with what waits for its endpoint is done', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(['one', 'two']);
  await lab.start({ schedule });
  await lab.settled(id);
  receiver.answer = () => 500;
  const replay = await lab.addReplay(id, { end: 2 });
  await expect.poll(waiting).toBe(2);
  const operator = await lab.operate();
  await operator.resume(id, { fromNow: true });
  await lab.settled(id);
  const row = await lab.row('select state, unfinished from webhook_cursors where id = $1', [
    replay,
  ]);
  expect(row).toEqual({ state: 'done', unfinished: 0 });
});

test('what is parked while others of its subject are cancelled holds up nothing that comes after it', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'subject' });
  receiver.answer = ({ sequence }) => (sequence === 1 ? 500 : 204);
  await fill(['one']);
  const sender = await lab.start({ schedule });
  await expect.poll(waiting).toBe(1);
  const move = sender.hold('harbor_webhooks_place_subjects');
  await fill(['one']);
  await move.reached;
  const operator = await lab.operate();
  const resumed = operator.resume(id, { fromNow: true });
  await expect.poll(operatorWaits).toBe(true);
  move.release();
  await resumed;
  await fill(['one']);
  await lab.settled(id);
  expect(sequences()).toEqual([1, 3]);
});

test('what was cancelled while it waited is not sent when its window is taken up', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'subject' });
  receiver.answer = ({ sequence }) => (sequence === 1 ? 500 : 'nothing');
  await fill(['one', 'one', 'two']);
  const first = await lab.start({ schedule });
  await expect.poll(waiting).toBe(2);
  const operator = await lab.operate();
  await operator.resume(id, { fromNow: true });
  await first.kill();
  receiver.answer = () => 204;
  await lab.start();
  await lab.settled(id);
  expect(sequences().toSorted()).toEqual([1, 3, 3]);
});

test('what was cancelled while the answer of its record was lost is not parked again', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'subject' });
  const [first, last] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
  receiver.answer = ({ sequence }) => {
    if (sequence === 1) return first.promise;
    return sequence === 4 ? last.promise : 204;
  };
  await fill(['one', 'one', 'two', 'three']);
  const { answers, errors, hold, lose } = await lab.start({
    schedule: { ...schedule, leaseMs: 60_000 },
  });
  const record = hold('harbor_webhooks_record_windows');
  await record.reached;
  // While the third is recorded the first fails, and the second is to wait behind it.
  const loss = lose('transaction');
  first.resolve(500);
  await expect.poll(() => answers).toEqual([204, 500]);
  record.release();
  await loss.reached;
  const operator = await lab.operate();
  await operator.resume(id, { fromNow: true });
  loss.release();
  // It is recorded after what is recorded again.
  last.resolve(204);
  await lab.settled(id);
  expect(errors.splice(0)).toHaveLength(1);
  expect(sequences()).toEqual([1, 3, 4]);
  const counts = await lab.row('select succeeded::int from webhook_cursors');
  expect(counts).toEqual({ succeeded: 2 });
});

test('what waited and was cancelled is told so while others of its window are on their way', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'subject' });
  const last = Promise.withResolvers<number>();
  receiver.answer = ({ sequence }) => (sequence === 1 ? 500 : last.promise);
  await fill(['one', 'one', 'two']);
  await lab.start({ schedule });
  await expect.poll(waiting).toBe(2);
  const operator = await lab.operate();
  await operator.resume(id, { fromNow: true });
  expect(await operator.deliveries(id)).toEqual(['cancelled', 'cancelled', 'in_flight']);
  last.resolve(204);
  await lab.settled(id);
});
