import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventFeeds } from '../../src/events/follow/event-feeds.ts';
import { openSubscription } from '../../src/events/follow/subscription.ts';
import { type EventFilter, everyEvent, passes } from '../../src/events/log/event-filter.ts';
import { type EventPage, type EventQuery, listEvents } from '../../src/events/log/event-list.ts';
import type { EntrySearch } from '../../src/events/log/log-index-store.ts';
import { type FilledEvent, fillLog } from '../support/filled-log.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';
import { makePartition } from '../support/partitions.ts';
import { range } from '../support/subscriber.ts';

const partitions = 12;
const monthOf = (index: number) => Date.UTC(2024, index);
const beganMs = monthOf(0);
const endedMs = monthOf(partitions) - 1;
/** In three partitions there are more than are sifted at once. */
const events = 26_000;

let logs: TestLogStore;
let windowsOpened = 0;
const searches: EntrySearch[] = [];

beforeAll(async () => {
  const opened = await openTestLogStore();
  const { store } = opened;
  const findBeyond: typeof store.findBeyond = (...asked) => {
    windowsOpened++;
    return store.findBeyond(...asked);
  };
  const find: typeof store.find = (range, search, signal) => {
    searches.push(search);
    return store.find(range, search, signal);
  };
  logs = { ...opened, store: { ...store, find, findBeyond } };
  for (const index of range(0, partitions - 1)) {
    await makePartition(logs.testDatabase, new Date(monthOf(index)), 'month');
  }
}, 60_000);
afterAll(async () => {
  // Else nothing of this would have been about windows.
  expect(windowsOpened).toBeGreaterThan(100);
  await logs.stop();
});

interface Recorded extends FilledEvent {
  readonly sequence: number;
  readonly subject: string | undefined;
  readonly createdAt: Date;
}

/** The times of the ids of a log whose events are this far from each other. */
type IdTimes = (sequence: number, createdAtMs: number) => number;

const dayMs = 86_400_000;
const within = (ms: number) => Math.min(Math.max(ms, beganMs), endedMs);
const idTimes: [name: string, idTimes: IdTimes][] = [
  ['ids have the times of their events', (_, ms) => ms],
  [
    'ids of two processes cross where a partition ends',
    (n, ms) => within(ms + (n % 2) * 5 * dayMs),
  ],
  [
    'ids know nothing of time',
    (n) => beganMs + ((n * 7_919) % events) * ((endedMs - beganMs) / events),
  ],
  [
    'ids were made ahead of their time for half of the log',
    (n, ms) => (n > events / 2 ? endedMs : ms),
  ],
];

function recordedBy(idAtMs: IdTimes): Recorded[] {
  return range(1, events).map((sequence) => {
    // Nothing happens for three months in the middle, and little in the beginning.
    const share = (sequence - 1) / (events - 1);
    const quiet = share < 0.5 ? 0 : 3 / partitions;
    const ms = Math.floor(beganMs + (share * (1 - 3 / partitions) + quiet) * (endedMs - beganMs));
    return {
      sequence,
      type: typeOf(sequence),
      subject: sequence % 3 === 0 ? `thing_${sequence % 2_000}` : undefined,
      createdAt: new Date(ms),
      idAt: new Date(idAtMs(sequence, ms)),
    };
  });
}

/** One in 25 is `some`: too few to sift the log for them. */
function typeOf(sequence: number): string {
  if (sequence % 4_000 === 7) return 'rare';
  return sequence % 25 === 4 ? 'some' : `often.${sequence % 5}`;
}

/** So many that each is looked at for a part of a page, and in few partitions at once. */
const seldom = range(1, 30).map((n) => `seldom.${n}`);

const filters: EventFilter[] = [
  everyEvent,
  { subject: undefined, typePatterns: ['rare'] },
  { subject: undefined, typePatterns: ['r*'] },
  { subject: undefined, typePatterns: ['o*', 'none'] },
  { subject: undefined, typePatterns: ['often.1', 'often.2', 'rare'] },
  { subject: undefined, typePatterns: ['some', 'rare', ...seldom] },
  { subject: undefined, typePatterns: ['some', 'r*'] },
  { subject: undefined, typePatterns: ['often.1*'] },
  { subject: undefined, typePatterns: ['none*'] },
  { subject: 'thing_507', typePatterns: [] },
  { subject: 'thing_507', typePatterns: ['often.*'] },
  { subject: 'none', typePatterns: [] },
];

describe.each(idTimes)('where %s', (_, idAtMs) => {
  const log = recordedBy(idAtMs);
  let workspaceId: string;
  beforeAll(async () => {
    workspaceId = await logs.newWorkspace();
    await fillLog(logs.testDatabase, workspaceId, log);
  });

  function listPage(query: Partial<EventQuery>): Promise<EventPage> {
    return listEvents(logs.store, {
      workspaceId,
      filter: everyEvent,
      createdAfter: undefined,
      createdBefore: undefined,
      afterSequence: 0,
      direction: 'asc',
      pageSize: 500,
      pageToken: '',
      ...query,
    });
  }

  async function listAll(query: Partial<EventQuery>): Promise<number[]> {
    const sequences: number[] = [];
    for (let pageToken = ''; ; ) {
      const page = await listPage({ ...query, pageToken });
      sequences.push(...page.events.map(({ sequence }) => sequence));
      pageToken = page.nextPageToken;
      if (pageToken === '') return sequences;
    }
  }

  test.each(filters)('a list holds what passes %j, in both orders', async (filter) => {
    const expected = log.filter((one) => passes(filter, one)).map(({ sequence }) => sequence);
    expect(await listAll({ filter })).toEqual(expected);
    expect(await listAll({ filter, direction: 'desc' })).toEqual(expected.toReversed());
    const middle = { filter, afterSequence: 20_333, pageSize: 200 };
    const rest = expected.filter((sequence) => sequence > 20_333);
    expect(await listAll(middle)).toEqual(rest);
  });

  test('a page of what most events are is found by looking through little more than a page', async () => {
    searches.length = 0;
    await listPage({ filter: { subject: undefined, typePatterns: ['often.*'] } });
    expect(searches).toEqual([
      { by: 'sequence', match: { types: [], prefixes: ['often.'] }, siftedMax: 1_000 },
    ]);
  });

  test('a time is found wherever it is', async () => {
    const times = [
      ...range(0, 40).map(
        (n) => new Date(beganMs - dayMs + (n / 40) * (endedMs - beganMs + 2 * dayMs)),
      ),
      ...[1, 2, events / 2 - 1, events / 2, events / 2 + 1, events].map(
        (n) => log[n - 1]?.createdAt ?? new Date(),
      ),
    ];
    for (const time of times) {
      const place = log.findLast(({ createdAt }) => createdAt < time)?.sequence ?? 0;
      expect(await logs.store.findPlaceOfTime(workspaceId, time)).toBe(place);
    }
  });

  test.each([everyEvent, ...filters.slice(1, 3)])(
    'a stream of %j holds what is there, and what comes',
    async (filter) => {
      const feeds = createEventFeeds(logs.store, {
        onGap: (error) => expect.unreachable(error.message),
        onSetBack: (error) => expect.unreachable(error.message),
        onError: (error) => expect.unreachable(String(error)),
      });
      const options = { workspaceId, filter, afterSequence: 4_000 };
      const subscription = await openSubscription(feeds, options);
      using _ = subscription.closing;
      const got: number[] = [];
      for (let isCaughtUp = false; !isCaughtUp; ) {
        for (const message of await subscription.next()) {
          if (message.kind === 'event') got.push(message.sequence);
          if (message.kind === 'caught_up') isCaughtUp = true;
        }
      }
      const expected = log.filter((one) => one.sequence > 4_000 && passes(filter, one));
      expect(got).toEqual(expected.map(({ sequence }) => sequence));
    },
  );
});
