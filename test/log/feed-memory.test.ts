import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEventFeeds } from '../../src/events/follow/event-feeds.ts';
import { createFeedMemory, feedBytesMax } from '../../src/events/follow/feed-memory.ts';
import { openSubscription } from '../../src/events/follow/subscription.ts';
import { createStreamEncoder, type StreamMessage } from '../../src/events/index.ts';
import { everyEvent } from '../../src/events/log/event-filter.ts';
import { placeAt } from '../../src/events/log/log-place.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';
import { range } from '../support/subscriber.ts';

let logs: TestLogStore;
let store: TestLogStore['store'];
let newWorkspace: TestLogStore['newWorkspace'];
let fill: TestLogStore['fill'];

beforeAll(async () => {
  logs = await openTestLogStore();
  ({ store, newWorkspace, fill } = logs);
});
afterAll(() => logs.stop());

/** Three forms, as a service writes them: what is sent of an event hangs on it once for each. */
const createEncoders = () =>
  range(1, 3).map(() =>
    createStreamEncoder(({ message }) =>
      new TextEncoder().encode(
        JSON.stringify(message?.case === 'event' ? message.value.payload : message?.case),
      ),
    ),
  );

const openFeeds = (bytesMax: number) => {
  const failures: unknown[] = [];
  const fail = (error: unknown) => void failures.push(error);
  const memory = createFeedMemory(bytesMax);
  const report = { onGap: fail, onSetBack: fail, onError: fail };
  return { memory, failures, feeds: createEventFeeds(store, report, memory) };
};

test('many workspaces that are followed in several forms keep no more than the bound together, and everybody gets everything', async () => {
  const bytesMax = 4 * 1024 * 1024;
  const payload = { text: 'x'.repeat(50_000) };
  const [workspaceCount, eventCount] = [12, 24];
  const { memory, failures, feeds } = openFeeds(bytesMax);
  const encoders = createEncoders();
  const workspaceIds = await Promise.all(range(1, workspaceCount).map(() => newWorkspace()));
  let most = 0;
  let written = 0;

  async function follow(workspaceId: string, encode: (message: StreamMessage) => Uint8Array) {
    const options = { workspaceId, afterSequence: 0, filter: everyEvent };
    const subscription = await openSubscription(feeds, options);
    using _ = subscription.closing;
    const got: number[] = [];
    while (got.length < eventCount) {
      for (const message of await subscription.next()) {
        written += encode(message).byteLength;
        most = Math.max(most, memory.bytes);
        if (message.kind === 'event') got.push(message.sequence);
      }
    }
    return got;
  }

  const following = workspaceIds.flatMap((id) => encoders.map((encode) => follow(id, encode)));
  for (let round = 0; round < eventCount / 4; round++) {
    await Promise.all(workspaceIds.map((id) => fill(id, 4, payload)));
    await feeds.poll();
    most = Math.max(most, memory.bytes);
  }
  const all = await Promise.all(following);
  expect(all).toEqual(following.map(() => range(1, eventCount)));
  expect(most).toBeLessThanOrEqual(bytesMax);
  // It was needed: the events were more than that, and so was what was written of them.
  expect(workspaceCount * eventCount * 50_000).toBeGreaterThan(2 * bytesMax);
  expect(written).toBeGreaterThan(8 * bytesMax);
  expect(most).toBeGreaterThan(bytesMax / 2);
  expect(failures).toEqual([]);
  // All have left.
  expect(memory.bytes).toBe(0);
});

test('of many small events what each takes beside its payload counts as well', async () => {
  const workspaceId = await newWorkspace();
  const { memory, feeds } = openFeeds(feedBytesMax);
  const { feed, leave } = await feeds.join(workspaceId);
  await fill(workspaceId, 1_000, {});
  await feed.advance();
  expect(memory.bytes).toBeGreaterThan(500_000);
  leave();
  expect(memory.bytes).toBe(0);
});

test('what an event is sent as counts once for each form, for as long as its feed keeps it', async () => {
  const workspaceId = await newWorkspace();
  const { memory, feeds } = openFeeds(feedBytesMax);
  const { feed, leave } = await feeds.join(workspaceId);
  await fill(workspaceId, 1, { text: 'x'.repeat(100_000) });
  await feed.advance();
  const [event] = feed.peek(0) ?? [];
  if (event === undefined) throw new Error('the feed keeps nothing');
  const before = memory.bytes;
  const message = { kind: 'event' as const, sequence: 1, event, memory };
  for (const encode of createEncoders()) {
    encode(message);
    encode(message);
  }
  expect(memory.bytes - before).toBeGreaterThan(3 * 100_000);
  expect(memory.bytes - before).toBeLessThan(3 * 101_000);
  leave();
  expect(memory.bytes).toBe(0);
  // Sent late to somebody who still has it at hand: it goes with that one, and is not kept.
  createEncoders()[0]?.(message);
  expect(memory.bytes).toBe(0);
});

test('the feed that was idle for the longest time gives way, and goes on with what comes next', async () => {
  const [idle, busy] = [await newWorkspace(), await newWorkspace()];
  const { memory, feeds } = openFeeds(1_000_000);
  const one = await feeds.join(idle);
  const other = await feeds.join(busy);
  const payload = { text: 'x'.repeat(100_000) };
  await fill(idle, 3, payload);
  await one.feed.advance();
  await fill(busy, 8, payload);
  await other.feed.advance();
  expect(one.feed.peek(0)).toBeUndefined();
  expect(other.feed.peek(0)).toHaveLength(8);
  await fill(idle, 1, payload);
  await one.feed.advance();
  expect(one.feed.peek(3)?.map(({ sequence }) => sequence)).toEqual([4]);
  // From the database, with those that it keeps no more.
  const read = await feeds.read(one.feed, {
    workspaceId: idle,
    place: placeAt(0),
  });
  expect(read.events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
  one.leave();
  other.leave();
  expect(memory.bytes).toBe(0);
});

test('a feed that has failed keeps nothing', async () => {
  const workspaceId = await newWorkspace();
  const { memory, feeds } = openFeeds(feedBytesMax);
  const { feed } = await feeds.join(workspaceId);
  await fill(workspaceId, 10, {});
  await feed.advance();
  expect(memory.bytes).toBeGreaterThan(0);
  await logs.testDatabase.query('update workspaces set last_sequence = 4 where id = $1', [
    workspaceId,
  ]);
  await feeds.poll();
  expect(memory.bytes).toBe(0);
});
