import { expect, test } from 'vitest';
import { type DeliveryLab, labWorkspace } from '../support/delivery-lab.ts';
import { fillLog, setBack } from '../support/filled-log.ts';
import { labOfEachTest } from '../support/lab-of-each-test.ts';
import { range } from '../support/subscriber.ts';
import type { Receiver } from '../support/webhook-receiver.ts';

let lab: DeliveryLab;
let receiver: Receiver;
labOfEachTest((made) => {
  ({ lab, receiver } = made);
});

const fill = (count: number, type: string) =>
  fillLog(
    lab.database,
    labWorkspace,
    range(1, count).map(() => ({ type })),
  );
const positionOf = async (id: string) =>
  (await lab.row('select position::int from webhook_cursors where id = $1', [id])).position;
const typesAt = (path: string) =>
  receiver.at(path).map(({ body, sequence }) => [sequence, JSON.parse(body).type]);
const told = { workspaceId: labWorkspace, knownLast: 10, lastSequence: 6 };

test('a log that is set back under running processes goes on being delivered from its new end', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  const sender = await lab.start();
  await fill(10, 'first');
  await lab.settled(id);
  await expect.poll(() => positionOf(id)).toBe(10);
  await setBack(lab.database, labWorkspace, { lastSequence: 6 });
  await expect.poll(() => sender.setBacks).toEqual([told]);
  expect(await positionOf(id)).toBe(6);
  const before = receiver.received.length;
  await fill(2, 'second');
  await receiver.waitFor('/hooks', before + 2);
  await lab.settled(id);
  expect(typesAt('/hooks').slice(before).sort()).toEqual([
    [7, 'second'],
    [8, 'second'],
  ]);
  expect(sender.setBacks).toHaveLength(1);
});

test('a process that starts upon cursors beyond the end of their log puts them there, replays too', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  await fill(10, 'first');
  await lab.database.query('update webhook_cursors set position = 10');
  const replay = await lab.addReplay(id, { after: 2, end: 9 });
  await setBack(lab.database, labWorkspace, { lastSequence: 6 });
  const sender = await lab.start();
  await expect.poll(() => sender.setBacks).toEqual([told]);
  await lab.settled(id);
  expect(
    typesAt('/hooks')
      .map(([sequence]) => sequence)
      .sort(),
  ).toEqual([3, 4, 5, 6]);
  const stateOf = () =>
    lab.row('select state, end_sequence::int from webhook_cursors where id = $1', [replay]);
  await expect.poll(stateOf).toEqual({ state: 'done', end_sequence: 6 });
  await fill(1, 'second');
  await receiver.waitFor('/hooks', 5);
  expect(typesAt('/hooks').at(-1)).toEqual([7, 'second']);
});

test('a database that goes back with all that is in it is gone on with where it was', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks` });
  const sender = await lab.start();
  await fill(10, 'first');
  await lab.settled(id);
  await expect.poll(() => positionOf(id)).toBe(10);
  await lab.database.query('update webhook_cursors set position = 4');
  await setBack(lab.database, labWorkspace, { lastSequence: 6 });
  await expect.poll(() => sender.setBacks.length).toBeGreaterThan(0);
  await receiver.waitFor('/hooks', 12);
  expect(
    typesAt('/hooks')
      .slice(10)
      .map(([sequence]) => sequence)
      .sort(),
  ).toEqual([5, 6]);
});
