import { expect, test } from 'vitest';
import { type DeliveryLab, labWorkspace, type Sender } from '../support/delivery-lab.ts';
import { fillLog } from '../support/filled-log.ts';
import { labOfEachTest } from '../support/lab-of-each-test.ts';
import type { Receiver } from '../support/webhook-receiver.ts';

let lab: DeliveryLab;
let receiver: Receiver;
labOfEachTest((made) => {
  ({ lab, receiver } = made);
});

const path = '/hooks';
const events = 200;
const maxInFlight = 4;
/** A window holds everything: what is tested is what becomes of the rest of it. */
const pace = { note: () => undefined, depthOf: () => events };

const fill = (count: number) =>
  fillLog(
    lab.database,
    labWorkspace,
    Array.from({ length: count }, () => ({ type: 'order.paid', payload: {} })),
  );

/** An endpoint that has answered well once: what comes next may wait in its window. */
async function startProven(): Promise<{ id: string; sender: Sender }> {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}${path}`, maxInFlight });
  await fill(1);
  const schedule = { retryAfterMs: [600_000], circuitAfterMs: 600_000 };
  const sender = await lab.start({ pace, schedule });
  await lab.settled(id);
  return { id, sender };
}

const waiting = (id: string) =>
  lab.row<{ count: number; tried: number; onTheirWay: number }>(
    `select count(*)::int as count, count(*) filter (where attempts > 0)::int as tried,
       (select in_flight from webhook_states where endpoint_id = $1) as "onTheirWay"
     from webhook_work where endpoint_id = $1`,
    [id],
  );

test('a window holds more than an endpoint takes at once, of which no more are on their way', async () => {
  const { id } = await startProven();
  const windows = () =>
    lab.row<{ count: number }>(
      'select count(distinct window_id)::int as count from webhook_attempts where endpoint_id = $1',
      [id],
    );
  await lab.start({ pace });
  const held = Promise.withResolvers<number>();
  receiver.answer = () => held.promise;
  await fill(events);
  await receiver.waitFor(path, 1 + maxInFlight);
  held.resolve(204);
  await lab.settled(id);
  expect((await windows()).count).toBeLessThan(events / maxInFlight);
  expect(receiver.mostOpen.get(path)).toBeLessThanOrEqual(maxInFlight);
  expect(receiver.at(path).map(({ id: event }) => event)).toHaveLength(1 + events);
});

test('what a window has not begun when its endpoint fails waits, and uses up no attempt', async () => {
  const { id } = await startProven();
  receiver.answer = () => 500;
  await fill(events);
  await expect.poll(() => waiting(id)).toMatchObject({ count: events, onTheirWay: 0 });
  // Twenty in a row, and what was on its way beside them.
  expect((await waiting(id)).tried).toBeLessThan(20 + maxInFlight);
  expect(receiver.at(path).length - 1).toBe((await waiting(id)).tried);
});

test('what a window has not begun when its endpoint asks to wait is sent when that is over', async () => {
  const { id } = await startProven();
  receiver.answer = ({ sequence }) =>
    sequence === 2 ? { status: 429, headers: { 'retry-after': '1' } } : 204;
  await fill(events);
  await expect.poll(async () => (await waiting(id)).count).toBeGreaterThan(events - 20);
  await expect.poll(async () => (await waiting(id)).count).toBe(1);
  // The one that was answered so is tried again as the schedule says.
  expect(new Set(receiver.at(path).map(({ sequence }) => sequence)).size).toBe(1 + events);
});

test('nothing more of a window is begun once its endpoint is paused, and it goes on when that is resumed', async () => {
  const { id, sender } = await startProven();
  const setStatus = async (status: string) => {
    const text =
      'update webhook_endpoints set status = $2, touched_at = clock_timestamp() where id = $1';
    await lab.database.query(text, [id, status]);
    // As a resume does.
    const due = 'update webhook_states set next_work_at = clock_timestamp() where endpoint_id = $1';
    if (status === 'enabled') await lab.database.query(due, [id]);
    await sender.engine.touched([id]);
  };
  const held = Promise.withResolvers<number>();
  receiver.answer = () => held.promise;
  await fill(events);
  await receiver.waitFor(path, 1 + maxInFlight);
  await setStatus('paused');
  held.resolve(204);
  const rest = events - maxInFlight;
  await expect.poll(() => waiting(id)).toEqual({ count: rest, tried: 0, onTheirWay: 0 });
  expect(receiver.at(path)).toHaveLength(1 + maxInFlight);
  await setStatus('enabled');
  await lab.settled(id);
  expect(receiver.at(path)).toHaveLength(1 + events);
});
