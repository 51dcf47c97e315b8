import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LogGap, SequenceExpired } from '../../src/events/event-errors.ts';
import { createEventFeeds, type EventFeeds } from '../../src/events/follow/event-feeds.ts';
import { openSubscription } from '../../src/events/follow/subscription.ts';
import type { EventLogStore } from '../../src/events/index.ts';
import { type EventFilter, everyEvent } from '../../src/events/log/event-filter.ts';
import { type EventQuery, listEvents } from '../../src/events/log/event-list.ts';
import { deleteBelowFloor, moveFloor, tearOut } from '../support/filled-log.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';
import { range } from '../support/subscriber.ts';

let logs: TestLogStore;

beforeAll(async () => {
  logs = await openTestLogStore();
});
afterAll(() => logs.stop());

/** Retention as it goes on: the floor first, and rows below it some time later. */
const passTo = (workspaceId: string, firstSequence: number) =>
  moveFloor(logs.testDatabase, workspaceId, firstSequence);
const deleteRows = (workspaceId: string, limit?: number) =>
  deleteBelowFloor(logs.testDatabase, workspaceId, limit);

function openFeeds(store: EventLogStore = logs.store) {
  const gaps: LogGap[] = [];
  const feeds = createEventFeeds(store, {
    onGap: (gap) => void gaps.push(gap),
    onSetBack: (error) => void gaps.push(error as never),
    onError: (error) => void gaps.push(error as never),
  });
  return { feeds, gaps };
}

/** The events of a stream up to `caught_up`, and the error that ended it before. */
async function follow(
  options: { workspaceId: string; afterSequence: number; filter?: EventFilter },
  store: EventLogStore = logs.store,
  { feeds } = openFeeds(store),
): Promise<{ sequences: number[]; error?: unknown }> {
  const sequences: number[] = [];
  const subscription = await openSubscription(feeds, { filter: everyEvent, ...options });
  using _ = subscription.closing;
  try {
    for (;;) {
      for (const message of await subscription.next()) {
        if (message.kind === 'caught_up') return { sequences };
        if (message.kind === 'event') sequences.push(message.sequence);
      }
    }
  } catch (error) {
    return { sequences, error };
  }
}

const query = (options: Partial<EventQuery> & { workspaceId: string }): EventQuery => ({
  filter: everyEvent,
  createdAfter: undefined,
  createdBefore: undefined,
  afterSequence: 0,
  direction: 'asc',
  pageSize: 500,
  pageToken: '',
  ...options,
});

/** A store that lets retention go on right before it first reads events, finds some, or fetches what it has found. */
function passing(
  pass: () => Promise<void>,
  before: readonly (keyof EventLogStore)[] = ['read', 'readNext', 'find'],
): EventLogStore {
  let passed: Promise<void> | undefined;
  const passFirst = async (call: keyof EventLogStore) => {
    if (before.includes(call)) passed ??= pass();
    await passed;
  };
  return {
    ...logs.store,
    async read(range) {
      await passFirst('read');
      return logs.store.read(range);
    },
    async readNext(part) {
      await passFirst('readNext');
      return logs.store.readNext(part);
    },
    async find(range, search) {
      await passFirst('find');
      return logs.store.find(range, search);
    },
    async fetch(workspaceId, entries) {
      await passFirst('fetch');
      return logs.store.fetch(workspaceId, entries);
    },
  };
}

const filters: EventFilter[] = [
  everyEvent,
  { ...everyEvent, typePatterns: ['fed'] },
  { ...everyEvent, typePatterns: ['f*'] },
  { ...everyEvent, subject: 'ord_1' },
];

test.each(filters)(
  'a stream from 0 begins where the floor has come to before its first read: %o',
  async (filter) => {
    const workspaceId = await logs.newWorkspace(800);
    const store = passing(async () => {
      await passTo(workspaceId, 301);
      await deleteRows(workspaceId);
    });
    const { sequences } = await follow({ workspaceId, afterSequence: 0, filter }, store);
    expect(sequences).toEqual(range(301, 800));
  },
);

test.each(filters)(
  'a reader that retention passes is told so, and of no gap: %o',
  async (filter) => {
    const workspaceId = await logs.newWorkspace(800);
    const store = passing(async () => {
      await passTo(workspaceId, 301);
      await deleteRows(workspaceId, 200);
    });
    const opened = openFeeds(store);
    const { error } = await follow({ workspaceId, afterSequence: 100, filter }, store, opened);
    expect(error).toBeInstanceOf(SequenceExpired);
    expect(error).toMatchObject({ firstSequence: 301 });
    expect(opened.gaps).toEqual([]);
  },
);

test.each(['asc', 'desc'] as const)(
  'what retention deletes after it was found is left out of a page, and nothing else: %s',
  async (direction) => {
    const workspaceId = await logs.newWorkspace(800);
    const store = passing(async () => {
      await passTo(workspaceId, 301);
      await deleteRows(workspaceId, 200);
    }, ['fetch']);
    const filter = { ...everyEvent, subject: 'ord_1' };
    const page = await listEvents(store, query({ workspaceId, filter, direction, pageSize: 700 }));
    const got = page.events.map(({ sequence }) => sequence);
    expect(got).toEqual(direction === 'asc' ? range(301, 700) : range(301, 800).toReversed());
  },
);

test('a reader right at the floor is not passed', async () => {
  const workspaceId = await logs.newWorkspace(800);
  const store = passing(async () => {
    await passTo(workspaceId, 301);
    await deleteRows(workspaceId);
  });
  const { sequences } = await follow({ workspaceId, afterSequence: 300 }, store);
  expect(sequences).toEqual(range(301, 800));
});

test('a log that empties before its reader comes is no log with a gap', async () => {
  const workspaceId = await logs.newWorkspace(20);
  const empty = async () => {
    await passTo(workspaceId, 21);
    await deleteRows(workspaceId);
  };
  expect(await follow({ workspaceId, afterSequence: 0 }, passing(empty))).toEqual({
    sequences: [],
  });
  const behind = await logs.newWorkspace(20);
  const emptyBehind = async () => {
    await passTo(behind, 21);
    await deleteRows(behind);
  };
  const { error } = await follow({ workspaceId: behind, afterSequence: 5 }, passing(emptyBehind));
  expect(error).toMatchObject({ name: 'SequenceExpired', firstSequence: 21 });
});

test('whoever meets a gap looks at the floor again before calling it one', async () => {
  const workspaceId = await logs.newWorkspace(20);
  // Events of an older moment, as a standby may give them: the floor was not there yet.
  const store: EventLogStore = {
    ...logs.store,
    async readNext(part) {
      const chunk = await logs.store.readNext(part);
      await passTo(workspaceId, 11);
      return { ...chunk, events: chunk.events.slice(8) };
    },
  };
  const opened = openFeeds(store);
  const { error } = await follow({ workspaceId, afterSequence: 2 }, store, opened);
  expect(error).toMatchObject({ name: 'SequenceExpired', firstSequence: 11 });
  expect(opened.gaps).toEqual([]);
});

test('an event that is missing above the floor is a gap all the same', async () => {
  const workspaceId = await logs.newWorkspace(20);
  await passTo(workspaceId, 11);
  await tearOut(logs.testDatabase, workspaceId, 15);
  const { error } = await follow({ workspaceId, afterSequence: 0 });
  expect(error).toBeInstanceOf(LogGap);
});

test('a feed that retention passes before it has heard of what came goes on at the floor', async () => {
  const workspaceId = await logs.newWorkspace(5);
  const { feeds, gaps } = openFeeds();
  const { feed } = await feeds.join(workspaceId);
  const behind = await openSubscription(feeds, {
    workspaceId,
    afterSequence: 5,
    filter: everyEvent,
  });
  const fromTheFloor = await openSubscription(feeds, {
    workspaceId,
    afterSequence: 0,
    filter: everyEvent,
  });
  await logs.fill(workspaceId, 20);
  await passTo(workspaceId, 11);
  await deleteRows(workspaceId);
  await feeds.poll();
  await expect.poll(() => feed.end.sequence).toBe(25);
  await expect(behind.next()).rejects.toMatchObject({ name: 'SequenceExpired', firstSequence: 11 });
  const messages = await fromTheFloor.next();
  expect(messages.map(({ sequence }) => sequence)).toEqual(range(11, 25));
  expect(gaps).toEqual([]);
});

test('a feed keeps nothing that retention has passed', async () => {
  const workspaceId = await logs.newWorkspace();
  const { feeds } = openFeeds();
  const { feed } = await feeds.join(workspaceId);
  await logs.fill(workspaceId, 20);
  await feed.advance();
  expect(feed.peek(0)).toHaveLength(20);
  await passTo(workspaceId, 11);
  await feeds.poll();
  expect(feed.peek(0)).toBeUndefined();
  expect(feed.peek(10)?.map(({ sequence }) => sequence)).toEqual(range(11, 20));
});

test.each([
  { direction: 'asc', sequences: range(301, 800) },
  { direction: 'desc', sequences: range(301, 800).toReversed() },
] as const)(
  'a page whose floor moves between its bounds and its read holds nothing below: $direction',
  async ({ direction, sequences }) => {
    const workspaceId = await logs.newWorkspace(800);
    // Half of what is below the floor is gone.
    const store = passing(async () => {
      await passTo(workspaceId, 301);
      await deleteRows(workspaceId, 150);
    });
    const options = query({ workspaceId, direction, pageSize: 650 });
    const page = await listEvents(store, options);
    expect(page.firstSequence).toBe(301);
    const got = page.events.map(({ sequence }) => sequence);
    expect(got).toEqual(sequences.slice(0, got.length));
    const rest = await listEvents(logs.store, { ...options, pageToken: page.nextPageToken });
    expect(page.nextPageToken === '' || rest.events.length > 0).toBe(true);
  },
);

/** What retention does while a reader reads a part. */
interface Step {
  readonly retention: 'move' | 'delete' | 'append';
  readonly count: number;
  readonly reader: number;
}
const anyStep: fc.Arbitrary<Step> = fc.record({
  retention: fc.constantFrom('move', 'delete', 'append'),
  count: fc.integer({ min: 1, max: 900 }),
  reader: fc.nat(5),
});
const anyPlace = fc.oneof(fc.constant(0), fc.nat(2_000));

/** Reads a part with each call; undefined at the end. */
type ReadOn = () => Promise<number[] | undefined>;

function readStream(workspaceId: string, afterSequence: number, feeds: EventFeeds): ReadOn {
  const options = { workspaceId, afterSequence, filter: everyEvent };
  let opening: ReturnType<typeof openSubscription> | undefined;
  return async () => {
    opening ??= openSubscription(feeds, options);
    const messages = await (await opening).next();
    if (messages.some(({ kind }) => kind === 'caught_up')) return undefined;
    return messages.map(({ sequence }) => sequence);
  };
}

function readList(workspaceId: string, afterSequence: number): ReadOn {
  let pageToken: string | undefined = '';
  return async () => {
    if (pageToken === undefined) return undefined;
    const options = query({ workspaceId, afterSequence, pageToken, pageSize: 300 });
    const { events, nextPageToken } = await listEvents(logs.store, options);
    pageToken = nextPageToken === '' ? undefined : nextPageToken;
    return events.map(({ sequence }) => sequence);
  };
}

test('while floors move and rows go, every reader has consecutive events, or is told that it was passed', async () => {
  const ends = { whole: 0, passed: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPlace, { minLength: 6, maxLength: 6 }),
      fc.array(anyStep, { minLength: 5, maxLength: 20 }),
      async (places, steps) => {
        const workspaceId = await logs.newWorkspace(2_000);
        const { feeds, gaps } = openFeeds();
        const log = { last: 2_000, floor: 1 };
        const retain = async ({ retention, count }: Step) => {
          if (retention === 'append') {
            log.last += count;
            await logs.fill(workspaceId, count);
            feeds.wake(workspaceId, log.last);
          } else if (retention === 'delete') await deleteRows(workspaceId, count);
          else {
            log.floor = Math.min(log.last + 1, log.floor + count);
            await passTo(workspaceId, log.floor);
          }
        };
        const readers = places.map((after, index) => ({
          after,
          got: [] as number[],
          readOn: index < 3 ? readStream(workspaceId, after, feeds) : readList(workspaceId, after),
          end: undefined as 'whole' | SequenceExpired | undefined,
        }));
        const read = async (reader: (typeof readers)[number]) => {
          try {
            const part = reader.end ? [] : await reader.readOn();
            if (part === undefined) reader.end = 'whole';
            else reader.got.push(...part);
          } catch (error) {
            if (!(error instanceof SequenceExpired)) throw error;
            reader.end = error;
          }
        };
        for (const step of steps) {
          const reader = readers[step.reader] as (typeof readers)[number];
          await Promise.all([retain(step), read(reader)]);
        }
        for (const reader of readers) while (reader.end === undefined) await read(reader);
        expect(gaps).toEqual([]);
        for (const { after, got, end } of readers) {
          const first = after === 0 ? (got[0] ?? 1) : after + 1;
          expect(got).toEqual(range(first, first + got.length - 1));
          ends[end === 'whole' ? 'whole' : 'passed']++;
          const { firstSequence } =
            end === 'whole' ? { firstSequence: Infinity } : (end as SequenceExpired);
          expect(firstSequence).toBeGreaterThan(first + got.length);
        }
      },
    ),
    { numRuns: 12 },
  );
  // Both were seen.
  expect(Math.min(ends.whole, ends.passed)).toBeGreaterThan(10);
}, 60_000);
