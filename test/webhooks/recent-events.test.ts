import { expect, test } from 'vitest';
import type { Event } from '../../src/events/index.ts';
import { createRecentEvents } from '../../src/webhooks/delivery/recent-events.ts';
import { type DeliveryLab, labWorkspace, type Sender } from '../support/delivery-lab.ts';
import { labOfEachTest } from '../support/lab-of-each-test.ts';
import type { Receiver } from '../support/webhook-receiver.ts';

let lab: DeliveryLab;
let receiver: Receiver;
labOfEachTest((made) => {
  ({ lab, receiver } = made);
});

const path = '/hooks';
async function startWithEndpoint(options: { maxInFlight?: number; ordering?: 'workspace' } = {}) {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}${path}`, ...options });
  const sender = await lab.start();
  await sender.engine.look(new AbortController().signal);
  return { id, sender };
}

const newEvent = (payload = {}) => ({ workspaceId: labWorkspace, type: 'order.paid', payload });
const create = ({ create: createIn }: Sender, payload?: object) => createIn(newEvent(payload));
const sequences = () => receiver.at(path).map(({ sequence }) => sequence);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

test('what a process has committed it delivers without reading it again', async () => {
  const { id, sender } = await startWithEndpoint({ maxInFlight: 100 });
  for (let round = 0; round < 5; round++) {
    await Promise.all(upTo(20).map((n) => create(sender, { n })));
    await lab.settled(id);
  }
  expect(sequences().sort((a, b) => a - b)).toEqual(upTo(100));
  const ofTheLog = sender.statements.filter(({ name }) => !name.startsWith('harbor_webhooks_'));
  expect(new Set(ofTheLog.map(({ name }) => name))).toEqual(new Set(['harbor_append']));
});

test('where other processes write to the same log, nothing of theirs is passed over', async () => {
  const { id, sender } = await startWithEndpoint({ ordering: 'workspace' });
  const other = await lab.start();
  for (let round = 0; round < 10; round++) {
    await Promise.all(upTo(5).map(() => create(sender)));
    await Promise.all(upTo(5).map(() => create(other)));
  }
  await lab.settled(id);
  expect(sequences()).toEqual(upTo(100));
});

test('what is erased in the same process while it waits is sent without its content', async () => {
  const { id, sender } = await startWithEndpoint({ maxInFlight: 1 });
  const held = Promise.withResolvers<number>();
  receiver.answer = () => held.promise;
  await create(sender);
  await receiver.waitFor(path, 1);
  const { id: eventId, workspaceId, sequence } = await create(sender, { secret: 'of somebody' });
  await lab.database.query(
    `update events set payload = '{}', payload_bytes = 2, erased_at = now() where workspace_id = $1 and sequence = $2`,
    [workspaceId, sequence],
  );
  // As an erasure does, whose own event is not at hand.
  sender.engine.wake(workspaceId, sequence, 'here');
  held.resolve(204);
  await lab.settled(id);
  const [, second] = receiver.at(path);
  const { id: sentId, payload } = JSON.parse(second?.body.toString() ?? '');
  expect([sentId, payload]).toEqual([eventId, {}]);
});

/** Only what is looked at. */
const eventOf = (sequence: number, characters: number) =>
  ({ sequence, payloadJson: 'x'.repeat(characters) }) as Event;

test('of what was committed a process keeps no more than some megabytes, the newest', () => {
  const recent = createRecentEvents(60_000);
  const characters = 10_000;
  for (const sequence of upTo(200)) recent.add('ws_many', [eventOf(sequence, characters)]);
  for (const sequence of upTo(20)) recent.add('ws_few', [eventOf(sequence, characters)]);
  const kept = (workspaceId: string, last: number) =>
    upTo(last).filter((sequence) => recent.find(workspaceId, sequence - 1) !== undefined);
  expect(kept('ws_few', 20)).toEqual(upTo(20));
  const ofMany = kept('ws_many', 200);
  expect(ofMany.at(-1)).toBe(200);
  // A character takes up to eight bytes with what was parsed of it.
  expect((ofMany.length + 20) * characters * 8).toBeLessThanOrEqual(4 * 1024 * 1024);
  expect(ofMany.length).toBeGreaterThan(10);
  // Alone it is more than all may be.
  recent.add('ws_few', [eventOf(21, 1_000_000)]);
  expect(recent.find('ws_few', 19)).toBeUndefined();
});

test('what was committed a while ago is read again', () => {
  const recent = createRecentEvents(-1);
  recent.add('ws_old', [eventOf(1, 10)]);
  expect(recent.find('ws_old', 0)).toBeUndefined();
});

test('what follows a sequence is what all commits since have added, or nothing where one is lacking', () => {
  const recent = createRecentEvents(60_000);
  recent.add('ws_log', [eventOf(3, 10), eventOf(4, 10)]);
  recent.add('ws_log', [eventOf(5, 10)]);
  const found = recent.find('ws_log', 3);
  expect(found).toMatchObject({ after: 3, end: 5 });
  expect(found?.events.map(({ sequence }) => sequence)).toEqual([4, 5]);
  expect(recent.find('ws_log', 1)).toBeUndefined();
  expect(recent.find('ws_log', 5)).toBeUndefined();
  recent.add('ws_log', [eventOf(8, 10)]);
  expect(recent.find('ws_log', 4)).toBeUndefined();
  expect(recent.find('ws_log', 7)).toMatchObject({ end: 8 });
  recent.add('ws_log', [eventOf(9, 10), eventOf(11, 10)]);
  expect(recent.find('ws_log', 7)).toBeUndefined();
});
