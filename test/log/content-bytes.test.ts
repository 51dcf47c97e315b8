import { randomInt } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ListEventsResponseSchema } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createAppendLanes, type Entry } from '../../src/events/append/append-lanes.ts';
import { type Event, prepareEvent } from '../../src/events/event.ts';
import { AppendQueueFull } from '../../src/events/event-errors.ts';
import { toEventMessage } from '../../src/events/event-message.rpc.ts';
import { createEventFeed } from '../../src/events/follow/event-feed.ts';
import { createFeedMemory } from '../../src/events/follow/feed-memory.ts';
import { createAppendQueue, createEventStore, type EventStore } from '../../src/events/index.ts';
import { everyEvent } from '../../src/events/log/event-filter.ts';
import { listEvents } from '../../src/events/log/event-list.ts';
import { placeAt } from '../../src/events/log/log-place.ts';
import { uuidOf } from '../../src/type-id.ts';
import { contentBytesOf } from '../support/counted-store.ts';
import { fullFacts } from '../support/full-facts.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';
import { range } from '../support/subscriber.ts';

const mebibyte = 1024 * 1024;

let logs: TestLogStore;
let store: EventStore;
let workspaceId: string;
let events: readonly Event[];

/** 800 events whose payloads are nothing, and whose subjects and metadata are 27 MB. */
beforeAll(async () => {
  logs = await openTestLogStore();
  store = createEventStore(logs.database.statements);
  workspaceId = await logs.newWorkspace();
  const queue = createAppendQueue(store);
  const appended = await Promise.all(range(1, 800).map(() => queue.append(fullEvent(workspaceId))));
  events = appended.map(({ event }) => event);
}, 60_000);
afterAll(() => logs.stop());

function fullEvent(id: string) {
  const idempotencyKey = undefined;
  return prepareEvent({ workspaceId: id, type: 'full', payload: {}, idempotencyKey, ...fullFacts });
}

const { contentBytes } = fullEvent('ws_any');

test('what is counted of an event is what is stored of it', async () => {
  const [row] = await logs.testDatabase.query<Record<string, number>>(
    `select payload_bytes as counted,
      octet_length(payload::text) + octet_length(subject) + octet_length(metadata::text) as stored
    from events where id = $1`,
    [uuidOf(events[0]?.id ?? '')],
  );
  expect(row).toEqual({ counted: contentBytes, stored: contentBytes });
  expect(contentBytes).toBeGreaterThan(34_000);
});

test('the longest workspace id, type and subject together have room in the indexes', async () => {
  const id = `ws_${'z'.repeat(64)}`;
  await logs.testDatabase.query(
    `insert into workspaces (id, display_name, created_at) values ($1, '', now())`,
    [id],
  );
  // Of 4 bytes each, and such as no index can compress.
  const longest = () =>
    String.fromCodePoint(...range(1, 255).map(() => randomInt(0x1_0000, 0xe_0000)));
  const facts = { workspaceId: id, type: longest(), subject: longest() };
  const event = prepareEvent({ ...facts, payload: {}, idempotencyKey: '~'.repeat(255) });
  const { event: stored } = await createAppendQueue(store).append(event);
  expect(stored).toMatchObject(facts);
});

let turn = 0;
const entryOf = (id: string): Entry => ({
  event: fullEvent(id),
  turn: turn++,
  askedAtMs: 0,
  state: 'waiting',
  contended: undefined,
  resolve: () => undefined,
  reject: () => undefined,
  noteLost: () => undefined,
  putBack: () => undefined,
});

test('a batch holds 4 MiB of them at the most', () => {
  const lanes = createAppendLanes();
  for (let n = 0; n < 300; n++) lanes.enter(entryOf('ws_full'));
  expect(lanes.takeBatch()).toHaveLength(Math.floor((4 * mebibyte) / contentBytes));
});

test('64 MiB of them wait at the most, and half of that of one workspace', () => {
  const lanes = createAppendLanes();
  const fill = (id: string) => {
    for (let count = 0; ; count++) {
      try {
        lanes.enter(entryOf(id));
      } catch (error) {
        expect(error).toBeInstanceOf(AppendQueueFull);
        return count * contentBytes;
      }
    }
  };
  const first = fill('ws_first');
  expect(first).toBeLessThanOrEqual(32 * mebibyte);
  expect(first).toBeGreaterThan(31 * mebibyte);
  const others = range(1, 20).map((n) => fill(`ws_${n}`));
  const all = others.reduce((sum, bytes) => sum + bytes, first);
  expect(all).toBeLessThanOrEqual(64 * mebibyte);
  expect(all).toBeGreaterThan(63 * mebibyte);
});

test('a read by id brings 4 MiB of them at the most, and says which ones it left out', async () => {
  const ids = events.slice(0, 300).map(({ id }) => id);
  const read = await store.read(ids, 10_000);
  expect(contentBytesOf([...read.events.values()])).toBeLessThan(4 * mebibyte + contentBytes);
  expect([...read.events.keys(), ...read.leftOut].toSorted()).toEqual(ids.toSorted());
  for (const event of events.slice(0, read.events.size)) {
    expect(read.events.get(event.id)).toEqual(event);
  }
});

test.each(['asc', 'desc'] as const)(
  'a page holds 2 MiB of them at the most: %s',
  async (direction) => {
    const query = {
      workspaceId,
      filter: everyEvent,
      createdAfter: undefined,
      createdBefore: undefined,
      afterSequence: 0,
      direction,
      pageSize: 500,
    };
    const sequences: number[] = [];
    const sizes: number[] = [];
    let pageToken = '';
    do {
      const page = await listEvents(logs.store, { ...query, pageToken });
      sequences.push(...page.events.map(({ sequence }) => sequence));
      const message = create(ListEventsResponseSchema, { events: page.events.map(toEventMessage) });
      sizes.push(toBinary(ListEventsResponseSchema, message).length);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(sequences.toSorted((a, b) => a - b)).toEqual(range(1, 800));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2 * mebibyte);
    expect(Math.max(...sizes)).toBeGreaterThan(1.9 * mebibyte);
  },
);

test('a read of the log brings 2 MiB of them at the most', async () => {
  const everything = { workspaceId, low: 0, high: 800, direction: 'asc', limit: 500 } as const;
  const chunk = await logs.store.read(everything);
  expect(contentBytesOf(chunk.events)).toBeLessThan(2 * mebibyte + contentBytes);
  expect(chunk).toMatchObject({ isCut: true });
});

test('a feed keeps 16 MiB of them, gives out 2 MiB at a time, and all of it counts', async () => {
  const memory = createFeedMemory();
  const start = {
    ...placeAt(0),
    firstSequence: 1,
    revision: 0,
    askedAtMs: performance.now(),
  };
  const feed = createEventFeed(logs.store, { workspaceId, start, memory }, () => undefined);
  await feed.advance();
  expect(feed.end.sequence).toBe(800);
  const kept = Math.floor((16 * mebibyte) / contentBytes);
  expect(feed.peek(800 - kept - 1)).toBeUndefined();
  expect(memory.bytes).toBeGreaterThan(15.5 * mebibyte);
  expect(memory.bytes).toBeLessThan(16.5 * mebibyte);
  const chunk = feed.peek(800 - kept + 20) ?? [];
  expect(chunk.length).toBeGreaterThan(50);
  expect(contentBytesOf(chunk)).toBeLessThanOrEqual(2 * mebibyte);
  feed.close();
  expect(memory.bytes).toBe(0);
});

test('all feeds together keep no more of them than their bound', async () => {
  const bytesMax = 8 * mebibyte;
  const memory = createFeedMemory(bytesMax);
  const start = {
    ...placeAt(0),
    firstSequence: 1,
    revision: 0,
    askedAtMs: performance.now(),
  };
  const feeds = range(1, 3).map(() =>
    createEventFeed(logs.store, { workspaceId, start, memory }, () => undefined),
  );
  for (const feed of feeds) await feed.advance();
  expect(memory.bytes).toBeLessThanOrEqual(bytesMax);
  expect(memory.bytes).toBeGreaterThan(0);
});
