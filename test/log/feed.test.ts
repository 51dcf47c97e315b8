import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { type Event, prepareEvent } from '../../src/events/event.ts';
import { LogGap, LogSetBack } from '../../src/events/event-errors.ts';
import { createEventFeed } from '../../src/events/follow/event-feed.ts';
import { createEventFeeds, type EventFeeds } from '../../src/events/follow/event-feeds.ts';
import { createFeedMemory } from '../../src/events/follow/feed-memory.ts';
import {
  openSubscription,
  type StreamMessage,
  type SubscriptionOptions,
} from '../../src/events/follow/subscription.ts';
import {
  type AppendQueue,
  createAppendQueue,
  createEventLogStore,
  createEventStore,
  type EventLogStore,
} from '../../src/events/index.ts';
import { everyEvent } from '../../src/events/log/event-filter.ts';
import { placeAt } from '../../src/events/log/log-place.ts';
import type { LogReader } from '../../src/events/log/read-log.ts';
import { setBack, tearOut } from '../support/filled-log.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';
import { range } from '../support/subscriber.ts';
import type { TestDatabase } from '../support/test-database.ts';

let logs: TestLogStore;
let testDatabase: TestDatabase;
let database: Database;
let store: EventLogStore;
/** Appends without a word to anybody. */
let queue: AppendQueue;
let newWorkspace: TestLogStore['newWorkspace'];
let fill: TestLogStore['fill'];

beforeAll(async () => {
  logs = await openTestLogStore();
  ({ testDatabase, database, store, newWorkspace, fill } = logs);
  queue = createAppendQueue(createEventStore(database.statements));
});
afterAll(() => logs.stop());

const append = (workspaceId: string, count: number) =>
  Promise.all(
    range(1, count).map(() =>
      queue.append(
        prepareEvent({ workspaceId, type: 'fed', payload: {}, idempotencyKey: undefined }),
      ),
    ),
  );

interface Reports {
  readonly feeds: EventFeeds;
  readonly gaps: LogGap[];
  readonly setBacks: LogSetBack[];
  readonly errors: unknown[];
}
function openFeeds(over: EventLogStore = store): Reports {
  const gaps: LogGap[] = [];
  const setBacks: LogSetBack[] = [];
  const errors: unknown[] = [];
  const feeds = createEventFeeds(over, {
    onGap: (gap) => void gaps.push(gap),
    onSetBack: (error) => void setBacks.push(error),
    onError: (error) => void errors.push(error),
  });
  return { feeds, gaps, setBacks, errors };
}
const openFeed = (workspaceId: string, startSequence: number, over: LogReader = store) => {
  const start = placeAt(startSequence);
  const state = { firstSequence: 1, revision: 0, askedAtMs: performance.now() };
  const options = { workspaceId, start: { ...start, ...state }, memory: createFeedMemory() };
  return createEventFeed(over, options, () => undefined);
};

const sequencesOf = (events: readonly Event[] | undefined) =>
  events?.map(({ sequence }) => sequence);
const everything = { filter: everyEvent, afterSequence: 0 };
const never = new AbortController().signal;

/** Message by message, as whoever writes a stream takes them. */
async function* subscribe(
  feeds: EventFeeds,
  options: SubscriptionOptions,
  signal: AbortSignal,
): AsyncGenerator<StreamMessage, never> {
  const subscription = await openSubscription(feeds, options);
  using _ = subscription.closing;
  signal.addEventListener('abort', () => subscription.end(signal.reason));
  for (;;) {
    for (const message of await subscription.next()) {
      subscription.throwIfEnded();
      yield message;
    }
  }
}

/** Takes messages until one is enough, and leaves. */
async function take(
  messages: AsyncGenerator<StreamMessage, never>,
  isEnough: (message: StreamMessage) => boolean,
): Promise<StreamMessage[]> {
  const taken: StreamMessage[] = [];
  for await (const message of messages) {
    taken.push(message);
    if (isEnough(message)) break;
  }
  return taken;
}
const eventsIn = (messages: readonly StreamMessage[]) =>
  messages.filter(({ kind }) => kind === 'event').map(({ sequence }) => sequence);

test('a feed holds what was committed since it began, and tells who is further behind', async () => {
  const workspaceId = await newWorkspace(10);
  const feed = openFeed(workspaceId, 7);
  expect(feed.peek(7)).toEqual([]);
  expect(feed.peek(6)).toBeUndefined();
  await feed.advance();
  expect(feed.end.sequence).toBe(10);
  expect(sequencesOf(feed.peek(7))).toEqual([8, 9, 10]);
  expect(sequencesOf(feed.peek(9))).toEqual([10]);
  expect(feed.peek(10)).toEqual([]);
  expect(feed.peek(6)).toBeUndefined();
});

test('a feed keeps the newest 2,000 events and gives them out 500 at a time', async () => {
  const workspaceId = await newWorkspace(2_600);
  const feed = openFeed(workspaceId, 0);
  await feed.advance();
  expect(feed.peek(599)).toBeUndefined();
  expect(sequencesOf(feed.peek(600))).toEqual(range(601, 1_100));
  expect(sequencesOf(feed.peek(2_590))).toEqual(range(2_591, 2_600));
});

test('a feed keeps 16 MiB of large events and gives them out 2 MiB at a time', async () => {
  const workspaceId = await newWorkspace();
  await fill(workspaceId, 100, { text: 'x'.repeat(250_000) });
  const feed = openFeed(workspaceId, 0);
  await feed.advance();
  expect(feed.end.sequence).toBe(100);
  expect(sequencesOf(feed.peek(30))).toBeUndefined();
  expect(sequencesOf(feed.peek(45))).toEqual(range(46, 53));
  expect(sequencesOf(feed.peek(98))).toEqual([99, 100]);
});

test('a subscription that is to end does not wait for a read that does not come back', async () => {
  const workspaceId = await newWorkspace(5);
  const { feeds } = openFeeds({ ...store, read: () => new Promise(() => undefined) });
  const subscription = await openSubscription(feeds, { workspaceId, ...everything });
  const waiting = subscription.next();
  subscription.end(new Error('stopping'));
  await expect(waiting).rejects.toThrow('stopping');
  subscription.closing.dispose();
});

test('a subscription to some types from the end of the log looks none of them up', async () => {
  const workspaceId = await newWorkspace(5);
  let finds = 0;
  const counting: EventLogStore = {
    ...store,
    find(range, search) {
      finds++;
      return store.find(range, search);
    },
  };
  const { feeds } = openFeeds(counting);
  const options = {
    workspaceId,
    filter: { ...everyEvent, typePatterns: ['fed'] },
    afterSequence: undefined,
  };
  const isEnough = ({ kind }: StreamMessage) => kind === 'caught_up';
  await take(subscribe(feeds, options, never), isEnough);
  expect(finds).toBe(0);
  // From the beginning it does look them up.
  const fromTheStart = { ...options, afterSequence: 0 };
  await take(subscribe(feeds, fromTheStart, never), isEnough);
  expect(finds).toBeGreaterThan(0);
});

test('what was committed before a feed is told to advance is there when that is done', async () => {
  // An event is committed behind the back of a read, and the feed is told so a few turns later: before,
  // while and after the read comes to its end.
  const lost: number[] = [];
  for (let turns = 0; turns <= 12; turns++) {
    const workspaceId = await newWorkspace(1);
    let reads = 0;
    let told: Promise<void> | undefined;
    const feed = openFeed(workspaceId, 0, {
      ...store,
      async readNext(part) {
        const chunk = await store.readNext(part);
        reads++;
        if (reads !== 2) return chunk;
        await append(workspaceId, 1);
        told = (async () => {
          for (let turn = 0; turn < turns; turn++) await undefined;
          await feed.advance();
        })();
        return chunk;
      },
    });
    await feed.advance();
    await told;
    if (feed.end.sequence !== 2) lost.push(turns);
  }
  expect(lost).toEqual([]);
});

test('a wake-up that comes while a feed is being opened is not lost', async () => {
  const workspaceId = await newWorkspace(3);
  const gate = Promise.withResolvers<void>();
  const { feeds } = openFeeds({
    ...store,
    async readLogEnds(ids) {
      const found = await store.readLogEnds(ids);
      await gate.promise;
      return found;
    },
  });
  const joining = feeds.join(workspaceId);
  // Opened at 3 at the latest; the fourth is committed and told before the feed is at hand.
  await expect.poll(() => testDatabase.query('select 1')).toHaveLength(1);
  await append(workspaceId, 1);
  feeds.wake(workspaceId, 4);
  gate.resolve();
  const { feed, leave } = await joining;
  await expect.poll(() => feed.end.sequence, { timeout: 500 }).toBe(4);
  leave();
});

test.each([0, 3, 5, 8])(
  'a subscriber from %i that joins a feed which lags behind gets all that was there before caught_up',
  async (afterSequence) => {
    const workspaceId = await newWorkspace(5);
    const { feeds } = openFeeds();
    const { leave } = await feeds.join(workspaceId);
    await append(workspaceId, 5);
    const options = { workspaceId, filter: everyEvent, afterSequence };
    const messages = subscribe(feeds, options, never);
    const taken = await take(messages, ({ kind }) => kind === 'caught_up');
    expect(eventsIn(taken)).toEqual(range(afterSequence + 1, 10));
    leave();
  },
);

test('a stream that is told to end gives nothing more, however much it has at hand', async () => {
  const workspaceId = await newWorkspace(50);
  const { feeds } = openFeeds();
  const controller = new AbortController();
  const messages = subscribe(feeds, { workspaceId, ...everything }, controller.signal);
  expect((await messages.next()).value.sequence).toBe(1);
  controller.abort(new Error('the key was revoked'));
  await expect(messages.next()).rejects.toThrow('the key was revoked');
});

test('a stream that waits ends at once when it is told to', async () => {
  const workspaceId = await newWorkspace(1);
  const { feeds } = openFeeds();
  const controller = new AbortController();
  const messages = subscribe(feeds, { workspaceId, ...everything }, controller.signal);
  expect((await messages.next()).value.kind).toBe('event');
  expect((await messages.next()).value.kind).toBe('caught_up');
  const waiting = messages.next();
  controller.abort(new Error('stopping'));
  await expect(waiting).rejects.toThrow('stopping');
});

test('catching up from behind what a feed keeps joins the live part without a seam', async () => {
  const workspaceId = await newWorkspace(3_000);
  const { feeds } = openFeeds();
  const waking = createAppendQueue(createEventStore(database.statements), {
    onCommitted: feeds.wake,
  });
  let done = false;
  const writing = (async () => {
    for (let round = 0; !done; round++) {
      const events = range(1, 60).map(() =>
        prepareEvent({ workspaceId, type: 'fed', payload: { round }, idempotencyKey: undefined }),
      );
      await Promise.all(events.map((event) => waking.append(event)));
    }
  })();
  const readers = [0, 1, 999, 1_000, 1_001, 2_999, 3_000].map(async (afterSequence) => {
    const options = { workspaceId, filter: everyEvent, afterSequence };
    const messages = subscribe(feeds, options, never);
    const taken = await take(messages, ({ sequence }) => sequence >= 7_000);
    return { afterSequence, taken };
  });
  const all = await Promise.all(readers);
  done = true;
  await writing;
  for (const { afterSequence, taken } of all) {
    expect(eventsIn(taken)).toEqual(range(afterSequence + 1, 7_000));
  }
  await waking.drained();
});

test('readers that catch up side by side share their reads', async () => {
  const workspaceId = await newWorkspace(1_500);
  let reads = 0;
  const { feeds } = openFeeds({
    ...store,
    readNext(part) {
      reads++;
      return store.readNext(part);
    },
  });
  const options = { workspaceId, ...everything };
  const all = await Promise.all(
    range(1, 40).map(() =>
      take(subscribe(feeds, options, never), ({ kind }) => kind === 'caught_up'),
    ),
  );
  expect(all.filter((taken) => eventsIn(taken).length !== 1_500)).toEqual([]);
  expect(reads).toBeLessThan(40);
});

test('a gap is told once by each feed, and never again crossed', async () => {
  const workspaceId = await newWorkspace(6);
  await tearOut(testDatabase, workspaceId, 4);
  const { feeds, gaps } = openFeeds();
  const feed = openFeed(workspaceId, 0);
  await feed.advance();
  expect(() => feed.peek(0)).toThrow(LogGap);
  await feed.advance();
  expect(feed.end.sequence).toBe(0);
  const messages = subscribe(feeds, { workspaceId, ...everything }, never);
  await expect(take(messages, () => false)).rejects.toThrow(LogGap);
  expect(gaps).toEqual([expect.any(LogGap)]);
});

test('a log that lacks its end is a gap and not a loop without end', async () => {
  const workspaceId = await newWorkspace(4);
  await tearOut(testDatabase, workspaceId, 4);
  let reads = 0;
  const { feeds, gaps } = openFeeds({
    ...store,
    readNext(part) {
      reads++;
      if (reads > 100) throw new Error('read a hundred times without end');
      return store.readNext(part);
    },
  });
  const messages = subscribe(feeds, { workspaceId, ...everything }, never);
  await expect(take(messages, () => false)).rejects.toThrow(LogGap);
  expect(gaps).toHaveLength(1);
});

test('a log that is shorter than what was told of it was set back, and has no gap', async () => {
  const workspaceId = await newWorkspace(5);
  const { feeds, gaps, setBacks } = openFeeds();
  const messages = subscribe(feeds, { workspaceId, ...everything }, never);
  // Five events, and that it has caught up.
  for (let taken = 0; taken < 6; taken++) await messages.next();
  // Told of 8, which are gone before anybody has read them.
  feeds.wake(workspaceId, 8);
  await expect(messages.next()).rejects.toThrow(LogSetBack);
  expect([gaps, setBacks]).toEqual([[], [expect.any(LogSetBack)]]);
});

test('whoever comes after a log was set back reads what it holds now, however soon that is', async () => {
  const workspaceId = await newWorkspace(5);
  const { feeds, setBacks } = openFeeds();
  const { feed } = await feeds.join(workspaceId);
  await fill(workspaceId, 5);
  await feed.advance();
  expect(sequencesOf(feed.peek(5))).toEqual(range(6, 10));
  await setBack(testDatabase, workspaceId, { lastSequence: 7 });
  // The feed still has 8 to 10, which are no more; nobody has polled.
  const options = { workspaceId, filter: everyEvent, afterSequence: 5 };
  const taken = await take(subscribe(feeds, options, never), ({ kind }) => kind === 'caught_up');
  expect(eventsIn(taken)).toEqual([6, 7]);
  expect(() => feed.peek(5)).toThrow(LogSetBack);
  expect(setBacks).toHaveLength(1);
});

test('a reader that catches up notices that the log has become another one behind its place', async () => {
  const workspaceId = await newWorkspace(2_000);
  const { feeds, gaps, setBacks } = openFeeds();
  const messages = subscribe(feeds, { workspaceId, ...everything }, never);
  for (let sequence = 1; sequence <= 500; sequence++) await messages.next();
  await setBack(testDatabase, workspaceId, { lastSequence: 400 });
  await fill(workspaceId, 3_000);
  await expect(messages.next()).rejects.toThrow(LogSetBack);
  expect([gaps, setBacks]).toEqual([[], [expect.any(LogSetBack)]]);
});

test('a thousand subscribers that come at once ask for the end of the log a few times', async () => {
  const workspaceId = await newWorkspace(1);
  let asked = 0;
  const counting = createEventLogStore({
    run(statement, values, timeoutMs) {
      if (statement.name === 'harbor_log_ends') asked++;
      return database.statements.run(statement, values, timeoutMs);
    },
  });
  const { feeds } = openFeeds(counting);
  const options = { workspaceId, filter: everyEvent, afterSequence: undefined };
  const taken = await Promise.all(
    range(1, 1_000).map(() =>
      take(subscribe(feeds, options, never), ({ kind }) => kind === 'caught_up'),
    ),
  );
  expect(taken.filter(([first]) => first?.sequence !== 1)).toEqual([]);
  expect(asked).toBeLessThan(10);
});

test('a crowd that catches up from everywhere leaves connections to those who write', async () => {
  const workspaceId = await newWorkspace(1_200);
  let running = 0;
  let most = 0;
  const watched = createEventLogStore({
    async run(statement, values, timeoutMs) {
      running++;
      most = Math.max(most, running);
      try {
        return await database.statements.run(statement, values, timeoutMs);
      } finally {
        running--;
      }
    },
  });
  const { feeds } = openFeeds(watched);
  const all = await Promise.all(
    range(0, 99).map(async (place) => {
      const options = { workspaceId, filter: everyEvent, afterSequence: place * 12 };
      const messages = subscribe(feeds, options, never);
      return eventsIn(await take(messages, ({ kind }) => kind === 'caught_up')).length;
    }),
  );
  expect(all).toEqual(range(0, 99).map((place) => 1_200 - place * 12));
  // Four that read, and one that looks for the end.
  expect(most).toBeLessThanOrEqual(5);
});

test('of subscribers that have left no read waits for its turn', async () => {
  const workspaceId = await newWorkspace(200);
  const hole = Promise.withResolvers<void>();
  const read: unknown[] = [];
  const held = createEventLogStore({
    async run(statement, values, timeoutMs) {
      if (statement.name === 'harbor_next') {
        read.push(values[1]);
        await hole.promise;
      }
      return database.statements.run(statement, values, timeoutMs);
    },
  });
  const { feeds } = openFeeds(held);
  const open = (place: number) =>
    openSubscription(feeds, { workspaceId, filter: everyEvent, afterSequence: place });
  const leavers = await Promise.all(range(1, 40).map(open));
  // Two wait for the same chunk: one of them stays.
  const stayer = await open(40);
  const left = leavers.map((one) => one.next().catch((reason: unknown) => reason));
  const stayed = stayer.next();
  await expect.poll(() => read.length).toBe(4);
  for (const one of leavers) {
    one.end('has left');
    one.closing.dispose();
  }
  expect(new Set(await Promise.all(left))).toEqual(new Set(['has left']));
  const comer = await open(7);
  const came = comer.next();
  hole.resolve();
  expect((await stayed)[0]?.sequence).toBe(41);
  expect((await came)[0]?.sequence).toBe(8);
  expect(read.slice(4)).toEqual([40, 7]);
  for (const one of [stayer, comer]) one.closing.dispose();
});

test('a feed that all have left is not polled any more', async () => {
  const workspaceId = await newWorkspace(1);
  let polls = 0;
  const { feeds } = openFeeds({
    ...store,
    readLogEnds(ids) {
      polls++;
      return store.readLogEnds(ids);
    },
  });
  const options = { workspaceId, ...everything };
  const { leave } = await feeds.join(workspaceId);
  await Promise.all(
    range(1, 10).map(() =>
      take(subscribe(feeds, options, never), ({ kind }) => kind === 'caught_up'),
    ),
  );
  const pollsBefore = polls;
  await feeds.poll();
  expect(polls).toBe(pollsBefore + 1);
  leave();
  const pollsWhenLeft = polls;
  await feeds.poll();
  expect(polls).toBe(pollsWhenLeft);
});

interface Step {
  readonly kind: 'append' | 'wake' | 'poll' | 'read';
  readonly reader: number;
  readonly count: number;
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('append', 'wake', 'poll', 'read'),
  reader: fc.nat(3),
  count: fc.integer({ min: 1, max: 500 }),
});

test('any interleaving of appends, wake-ups, polls and reads gives every reader consecutive sequences', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(2_500),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
      fc.array(anyStep, { minLength: 1, maxLength: 14 }),
      async (before, places, steps) => {
        const workspaceId = await newWorkspace(before);
        const { feeds, gaps, errors } = openFeeds();
        let total = before;
        const readers = places.map((place) => {
          const afterSequence = Math.floor(place * before);
          const options = { workspaceId, filter: everyEvent, afterSequence };
          return {
            afterSequence,
            got: [] as number[],
            messages: subscribe(feeds, options, never),
          };
        });
        const run = async (step: Step) => {
          if (step.kind === 'append') {
            await fill(workspaceId, step.count);
            total += step.count;
            feeds.wake(workspaceId, total);
          } else if (step.kind === 'wake') feeds.wake(workspaceId, total);
          else if (step.kind === 'poll') await feeds.poll();
          else {
            const reader = readers[step.reader] as (typeof readers)[number];
            while (reader.got.length < Math.min(step.count, before - reader.afterSequence)) {
              const { value } = await reader.messages.next();
              if (value.kind === 'event') reader.got.push(value.sequence);
            }
          }
        };
        const appends = steps.filter(({ kind }) => kind === 'append');
        const rest = steps.filter(({ kind }) => kind !== 'append');
        await Promise.all([
          (async () => {
            for (const step of appends) await run(step);
          })(),
          (async () => {
            for (const step of rest) await run(step);
          })(),
        ]);
        await feeds.poll();
        for (const { afterSequence, got, messages } of readers) {
          while (got.length < total - afterSequence) {
            const { value } = await messages.next();
            if (value.kind === 'event') got.push(value.sequence);
          }
          expect(got).toEqual(range(afterSequence + 1, total));
          await messages.return(undefined as never);
        }
        expect([gaps, errors]).toEqual([[], []]);
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);
