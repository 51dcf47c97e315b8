import { expect, test, vi } from 'vitest';
import { readEndpointsStatement } from '../../src/webhooks/endpoints/endpoint-statements.ts';
import { type DeliveryLab, labWorkspace } from '../support/delivery-lab.ts';
import { eraseQuietly, fillLog } from '../support/filled-log.ts';
import { labOfEachTest } from '../support/lab-of-each-test.ts';
import type { Receiver } from '../support/webhook-receiver.ts';

let lab: DeliveryLab;
let receiver: Receiver;
labOfEachTest((made) => {
  ({ lab, receiver } = made);
});

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
/** Events of which each third is about the same of three subjects, and none is about nothing. */
const fill = (count: number) =>
  fillLog(
    lab.database,
    labWorkspace,
    upTo(count).map((n) => ({ type: 'order.paid', subject: `customer-${n % 3}` })),
  );
/** The sequences of a path in the order in which they were first answered with success. */
function firsts(path: string, succeeded: ReadonlySet<string>): number[] {
  const all = receiver
    .at(path)
    .filter(({ sequence, attempt }) => succeeded.has(`${sequence} ${attempt}`));
  return [...new Set(all.map(({ sequence }) => sequence))];
}
/** Answers so that some fail once or twice, and remembers which have succeeded. */
function flap(fails: (sequence: number, attempt: number) => boolean): ReadonlySet<string> {
  const succeeded = new Set<string>();
  receiver.answer = ({ sequence, attempt }) => {
    if (fails(sequence, attempt)) return 500;
    succeeded.add(`${sequence} ${attempt}`);
    return 204;
  };
  return succeeded;
}
const schedule = { circuitFailures: 1_000 };

test('in the order of the log each event waits for the one before it, one request at a time, over two processes', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'workspace' });
  const succeeded = flap((sequence, attempt) => sequence % 7 === 0 && attempt < 3);
  await fill(60);
  await Promise.all([lab.start({ schedule }), lab.start({ schedule })]);
  await lab.settled(id);
  expect(firsts('/hooks', succeeded)).toEqual(upTo(60));
  expect(receiver.mostOpen.get('/hooks')).toBe(1);
});

test('in the order of the log an event that is given up lets the next ones go', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'workspace' });
  const succeeded = flap((sequence) => sequence === 3);
  await fill(12);
  await lab.start({ schedule });
  await lab.settled(id);
  expect(firsts('/hooks', succeeded)).toEqual(upTo(12).filter((n) => n !== 3));
});

test('an event that is erased while it waits for the one before it is sent without its content', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const url = `${receiver.baseUrl}/hooks`;
    const id = await lab.addEndpoint({ url, ordering: 'workspace' });
    await fillLog(
      lab.database,
      labWorkspace,
      upTo(3).map(() => ({ type: 'user.changed', payload: { email: 'ada@example.com' } })),
    );
    const released = Promise.withResolvers<void>();
    receiver.answer = async ({ sequence }) => {
      if (sequence === 1) await released.promise;
      return 204;
    };
    await lab.start({ schedule: { leaseMs: 600_000 } });
    await receiver.waitFor('/hooks', 1);
    await eraseQuietly(lab.database, labWorkspace, [3]);
    vi.advanceTimersByTime(4_000);
    released.resolve();
    await lab.settled(id);
    const payloads = receiver.at('/hooks').map(({ body }) => JSON.parse(body).payload);
    expect(payloads).toEqual([{ email: 'ada@example.com' }, { email: 'ada@example.com' }, {}]);
  } finally {
    vi.useRealTimers();
  }
});

test('the order of the log holds when processes are killed', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'workspace' });
  await fill(30);
  let isHanging = true;
  receiver.answer = ({ sequence }) => (sequence === 5 && isHanging ? 'nothing' : 204);
  const first = await lab.start();
  await receiver.waitFor('/hooks', 5);
  await first.kill();
  isHanging = false;
  await lab.start();
  await lab.settled(id);
  const sequences = [...new Set(receiver.at('/hooks').map(({ sequence }) => sequence))];
  expect(sequences).toEqual(upTo(30));
});

test('in the order of subjects an event that fails holds up its subject, and no other', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'subject' });
  // Customer 1 is at 1, 4, 7 …
  let isHeld = true;
  const succeeded = new Set<string>();
  receiver.answer = ({ sequence, attempt }) => {
    if (sequence === 4 && isHeld) return 500;
    succeeded.add(`${sequence} ${attempt}`);
    return 204;
  };
  await fill(90);
  const retryAfterMs = Array.from({ length: 1_000 }, () => 50);
  const held = { ...schedule, retryAfterMs };
  await Promise.all([lab.start({ schedule: held }), lab.start({ schedule: held })]);
  const others = upTo(90).filter((n) => n % 3 !== 1);
  await expect
    .poll(() => firsts('/hooks', succeeded).filter((n) => n % 3 !== 1).length)
    .toBe(others.length);
  expect(firsts('/hooks', succeeded).filter((n) => n % 3 === 1)).toEqual([1]);
  await expect
    .poll(() => lab.row('select parked, unfinished from webhook_cursors'))
    .toEqual({ parked: 28, unfinished: 29 });
  isHeld = false;
  await lab.settled(id);
  for (const rest of [0, 1, 2]) {
    const wanted = upTo(90).filter((n) => n % 3 === rest);
    expect(firsts('/hooks', succeeded).filter((n) => n % 3 === rest)).toEqual(wanted);
  }
  expect(await lab.row('select parked, open_windows from webhook_cursors')).toEqual({
    parked: 0,
    open_windows: 0,
  });
});

test('the order of subjects holds through failures and a kill, and nothing stays parked', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'subject' });
  const succeeded = flap((sequence, attempt) => sequence % 4 === 0 && attempt < 3);
  await fill(120);
  const first = await lab.start({ schedule });
  await lab.start({ schedule });
  await receiver.waitFor('/hooks', 40);
  await first.kill();
  await lab.settled(id);
  for (const rest of [0, 1, 2]) {
    const wanted = upTo(120).filter((n) => n % 3 === rest);
    expect(firsts('/hooks', succeeded).filter((n) => n % 3 === rest)).toEqual(wanted);
  }
});

test('events about nothing are in no order', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'subject' });
  await fillLog(
    lab.database,
    labWorkspace,
    upTo(6).map(() => ({ type: 'order.paid' })),
  );
  receiver.answer = ({ sequence, attempt }) => (sequence === 1 && attempt < 3 ? 500 : 204);
  await lab.start({ schedule });
  await lab.settled(id);
  expect(
    receiver
      .at('/hooks')
      .map(({ sequence }) => sequence)
      .at(-1),
  ).toBe(1);
});

test('no more than 10,000 deliveries are parked: then the cursor stands, and says so', async () => {
  const id = await lab.addEndpoint({
    url: `${receiver.baseUrl}/hooks`,
    ordering: 'subject',
    maxInFlight: 500,
  });
  receiver.answer = () => 500;
  await fillLog(
    lab.database,
    labWorkspace,
    upTo(11_000).map(() => ({ type: 'order.paid', subject: 'one' })),
  );
  await lab.start({ schedule: { retryAfterMs: [600_000] } });
  const countWork = () =>
    lab.row(
      'select count(*)::int as work, sum(parked)::int as parked from webhook_work, webhook_cursors group by parked',
    );
  await expect
    .poll(() => lab.row('select parked from webhook_cursors'), { timeout: 20_000 })
    .toEqual({ parked: 10_000 });
  expect(await countWork()).toMatchObject({ work: 10_001 });
  const shown = await lab.row(readEndpointsStatement.text, [[id]]);
  expect(shown).toMatchObject({ standing_reason: 'parked', lag: 999 });
});

test('what was sent while the log was read for the same endpoint is not sent a second time', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'subject' });
  const { engine, hold } = await lab.start({ lookEveryMs: 3_600_000 });
  await engine.look(new AbortController().signal);
  const grow = async (last: number) => {
    await fillLog(lab.database, labWorkspace, [{ type: 'order.paid' }]);
    engine.wake(labWorkspace, last, 'here');
  };
  const first = Promise.withResolvers<number>();
  receiver.answer = ({ sequence }) => (sequence === 1 ? first.promise : 204);
  await grow(1);
  await receiver.waitFor('/hooks', 1);

  // The second one is on its way into its window when the first one's success lets the log be read again.
  const move = hold('transaction');
  await grow(2);
  await move.reached;
  const read = hold('harbor_list_asc');
  await grow(3);
  first.resolve(204);
  await read.reached;
  move.release();
  await receiver.waitFor('/hooks', 2);
  read.release();
  await lab.settled(id);
  expect(receiver.at('/hooks').map(({ sequence }) => sequence)).toEqual(upTo(3));
});

test('what is recorded again since the answer was lost parks nothing that was sent meanwhile', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, ordering: 'subject' });
  const [first, last] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
  receiver.answer = ({ sequence, attempt }) => {
    if (sequence === 4) return last.promise;
    return sequence === 1 && attempt === 1 ? first.promise : 204;
  };
  const subjects = ['one', 'one', 'two', 'three'];
  await fillLog(
    lab.database,
    labWorkspace,
    subjects.map((subject) => ({ type: 'order.paid', subject })),
  );
  const schedule = { leaseMs: 60_000 };
  const { answers, errors, hold, lose } = await lab.start({ schedule });
  const record = hold('harbor_webhooks_record_windows');
  await record.reached;

  // While the third is recorded the first fails, and the second is to wait behind it: that is written down, and nobody hears.
  const loss = lose('transaction');
  first.resolve(500);
  await expect.poll(() => answers).toEqual([204, 500]);
  record.release();
  await loss.reached;
  await lab.start({ schedule });
  await receiver.waitFor('/hooks', 5);
  await expect
    .poll(() => lab.row('select count(*)::int as waiting from webhook_work'))
    .toEqual({ waiting: 0 });

  loss.release();
  // It is recorded after what is recorded again.
  last.resolve(204);
  await lab.settled(id);
  expect(errors.splice(0)).toHaveLength(1);
  expect(receiver.at('/hooks').map(({ sequence }) => sequence)).toEqual([1, 3, 4, 1, 2]);
});
