import { connect } from 'node:http2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { DatabaseUnavailable } from '../../src/database-unavailable.ts';
import { LogSetBack } from '../../src/events/event-errors.ts';
import { createEventFeeds, type EventFeeds } from '../../src/events/follow/event-feeds.ts';
import {
  openSubscription,
  type StreamMessage,
  type Subscription,
} from '../../src/events/follow/subscription.ts';
import type { EventLogStore } from '../../src/events/index.ts';
import { everyEvent } from '../../src/events/log/event-filter.ts';
import { placeAt } from '../../src/events/log/log-place.ts';
import { StreamBody } from '../../src/server/streams/stream-body.ts';
import { eraseQuietly, fillLog } from '../support/filled-log.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';
import { createLogClient } from '../support/log-wires.ts';
import { range, subscribeTo } from '../support/subscriber.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const secret = 'ada@example.com';

describe('what a feed and its readers hold', () => {
  let logs: TestLogStore;
  beforeAll(async () => {
    logs = await openTestLogStore();
  });
  afterAll(() => logs.stop());
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  /** More than content is given out for without a look at the revision. */
  const passTime = (ms = 1_500) => vi.advanceTimersByTime(ms);
  const erase = (workspaceId: string, ...sequences: number[]) =>
    eraseQuietly(logs.testDatabase, workspaceId, sequences);

  function openFeeds(store: EventLogStore = logs.store): EventFeeds {
    const fail = (error: unknown) => {
      throw error;
    };
    return createEventFeeds(store, { onGap: fail, onSetBack: () => undefined, onError: fail });
  }
  /** A feed that keeps so many events, each with the secret. */
  async function openFilledFeed(count: number, feeds = openFeeds()) {
    const workspaceId = await logs.newWorkspace();
    const { feed } = await feeds.join(workspaceId);
    await logs.fill(workspaceId, count, { secret });
    await feed.advance();
    return { workspaceId, feeds, feed };
  }
  const subscribe = (feeds: EventFeeds, workspaceId: string, subject?: string) =>
    openSubscription(feeds, {
      workspaceId,
      afterSequence: 0,
      filter: { ...everyEvent, subject },
    });
  const holding = (messages: readonly StreamMessage[]) =>
    messages.flatMap((message) =>
      message.kind === 'event' && 'secret' in message.event.payload ? [message.sequence] : [],
    );
  const sequencesOf = (messages: readonly StreamMessage[]) =>
    messages.flatMap(({ kind, sequence }) => (kind === 'event' ? [sequence] : []));

  test('a feed drops what it keeps, told by nothing but its poll', async () => {
    const { workspaceId, feeds, feed } = await openFilledFeed(10);
    expect(feed.peek(0)).toHaveLength(10);
    await erase(workspaceId, 3);
    await feeds.poll();
    expect(feed.peek(0)).toBeUndefined();
    expect(feeds.memory.bytes).toBeLessThan(1_000);
    const messages = await (await subscribe(feeds, workspaceId)).next();
    expect(holding(messages)).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('a feed that reads on learns of it with what it reads, before anything is polled', async () => {
    const { workspaceId, feed } = await openFilledFeed(10);
    await erase(workspaceId, 3);
    await feed.advance();
    expect(feed.peek(0)).toBeUndefined();
    expect(feed.peek(10)).toHaveLength(1);
  });

  test('a chunk whose read began before an erasure is not kept, and not given out later', async () => {
    let after: () => Promise<void> = async () => undefined;
    const store: EventLogStore = {
      ...logs.store,
      async readNext(part) {
        const chunk = await logs.store.readNext(part);
        const meanwhile = after;
        after = async () => undefined;
        await meanwhile();
        return chunk;
      },
    };
    const feeds = openFeeds(store);
    const workspaceId = await logs.newWorkspace();
    const { feed } = await feeds.join(workspaceId);
    await logs.fill(workspaceId, 10, { secret });
    after = async () => {
      await erase(workspaceId, 3);
      await feeds.poll();
      passTime();
    };
    await feed.advance(10);
    expect(feed.peek(0)).toBeUndefined();
    // A reader that is further back than the feed keeps reads by itself.
    const subscription = await subscribe(feeds, workspaceId);
    after = async () => {
      await erase(workspaceId, 5);
      await feeds.poll();
      passTime();
    };
    expect(holding(await subscription.next())).toEqual([1, 2, 4, 6, 7, 8, 9, 10]);
  });

  test('the same of what is looked up by a filter', async () => {
    const feeds = openFeeds({
      ...logs.store,
      async fetch(workspaceId, entries) {
        const chunk = await logs.store.fetch(workspaceId, entries);
        await once?.(workspaceId);
        once = undefined;
        return chunk;
      },
    });
    const workspaceId = await logs.newWorkspace();
    await fillLog(
      logs.testDatabase,
      workspaceId,
      range(1, 5).map(() => ({ type: 'fed', subject: 'usr_1', payload: { secret } })),
    );
    let once: ((workspaceId: string) => Promise<void>) | undefined = async () => {
      await erase(workspaceId, 2);
      await feeds.poll();
      passTime();
    };
    const messages = await (await subscribe(feeds, workspaceId, 'usr_1')).next();
    expect(holding(messages)).toEqual([1, 3, 4, 5]);
  });

  test('messages in the hands of a slow reader are read again, none is missing and none comes twice', async () => {
    const { workspaceId, feeds } = await openFilledFeed(10);
    const subscription = await subscribe(feeds, workspaceId);
    const body = bodyOf(subscription);
    const first = await body.next();
    expect(first).toMatchObject({ sequences: [1, 2, 3], holding: [1, 2, 3] });
    await erase(workspaceId, 5);
    // The erasure is not known yet, and what is at hand is young.
    expect(await body.next()).toMatchObject({ sequences: [4, 5, 6], holding: [4, 5, 6] });
    await erase(workspaceId, 8);
    await feeds.poll();
    passTime();
    const rest = [await body.next(), await body.next()];
    expect(rest.flatMap(({ sequences }) => sequences)).toEqual([7, 8, 9, 10, 11, 12]);
    expect(rest.flatMap((chunk) => chunk.holding)).toEqual([7, 9, 10]);
    subscription.closing.dispose();
  });

  /** Writes three messages at once, as `StreamBody` writes 64 KB. */
  function bodyOf(subscription: Subscription) {
    let written: StreamMessage[] = [];
    const encode = (message: unknown) => {
      written.push(message as StreamMessage);
      return new Uint8Array(22_000);
    };
    const finish = async (error: unknown) => {
      throw error;
    };
    const body = new StreamBody(subscription, new AbortController().signal, { encode, finish });
    return {
      async next() {
        written = [];
        await body.next();
        return { sequences: sequencesOf(written), holding: holding(written) };
      },
    };
  }

  test('a process that cannot ask PostgreSQL soon believes nothing that it holds', async () => {
    let isLost = false;
    const feeds = openFeeds({
      ...logs.store,
      readLogEnds(ids) {
        if (isLost) throw new DatabaseUnavailable('lost', { sent: false });
        return logs.store.readLogEnds(ids);
      },
    });
    const { workspaceId, feed } = await openFilledFeed(10, feeds);
    const subscription = await subscribe(feeds, workspaceId);
    isLost = true;
    passTime(3_900);
    expect(
      holding((await feeds.read(feed, { workspaceId, place: start })).events.map(toMessage)),
    ).toHaveLength(10);
    passTime(200);
    await expect(feeds.read(feed, { workspaceId, place: start })).rejects.toThrow(
      DatabaseUnavailable,
    );
    await expect(subscription.next()).rejects.toThrow(DatabaseUnavailable);
    // And all of it again, once it has asked.
    isLost = false;
    expect((await feeds.read(feed, { workspaceId, place: start })).events).toHaveLength(10);
  });
  const start = placeAt(0);
  const toMessage = (event: { sequence: number }) =>
    ({ kind: 'event', sequence: event.sequence, event }) as StreamMessage;

  test('a log that was set back to before an erasure is known for that, and not read for ever', async () => {
    const { workspaceId, feeds, feed } = await openFilledFeed(10);
    await erase(workspaceId, 3);
    await feeds.poll();
    await logs.testDatabase.query('update workspaces set revision = 0 where id = $1', [
      workspaceId,
    ]);
    await expect(feeds.read(feed, { workspaceId, place: start })).rejects.toThrow(LogSetBack);
  });
});

describe('with two processes', () => {
  let service: TestService;
  let other: TestService;
  beforeAll(async () => {
    service = await startTestService();
    other = await startTestService({}, service.database);
  });
  afterAll(async () => {
    await other.stop();
    await service.stop();
  });

  let workspaces = 0;
  async function newWorkspace(): Promise<string> {
    const workspaceId = `ws_secret${++workspaces}`;
    await service.app.workspaces.create(workspaceId, '');
    return workspaceId;
  }
  const readStream = async (from: TestService, workspaceId: string) => {
    const stream = subscribeTo(createLogClient(from), { workspaceId, afterSequence: 0n });
    const messages = await stream.caughtUp();
    await stream.leave();
    return messages.flatMap(({ message }) => (message.case === 'event' ? [message.value] : []));
  };
  const secretsIn = async (from: TestService, workspaceId: string) =>
    (await readStream(from, workspaceId)).filter(({ payload }) => payload?.secret === secret)
      .length;

  test.each(['by a word in the log', 'by nobody'])(
    'what a feed has written down for its readers is gone in each of them within 5 s, told %s',
    async (how) => {
      const workspaceId = await newWorkspace();
      // Both keep what comes now, and what it is sent as: there is somebody who follows.
      const followers = [service, other].map((one) =>
        subscribeTo(createLogClient(one), { workspaceId, afterSequence: 0n }),
      );
      await Promise.all(followers.map((one) => one.caughtUp()));
      const client = createLogClient(service);
      const events = await Promise.all(
        range(1, 20).map(() =>
          client.createEvent({ workspaceId, type: 'user.signed_up', payload: { secret } }),
        ),
      );
      await Promise.all(followers.map((one) => one.events(20)));
      expect(await secretsIn(service, workspaceId)).toBe(20);
      expect(await secretsIn(other, workspaceId)).toBe(20);

      if (how === 'by nobody') await eraseQuietly(service.database, workspaceId, range(1, 20));
      else {
        const secretKey = await service.issueKey({ kind: 'secret', scopes: ['all'] });
        const eraser = createLogClient({ ...service, secretKey });
        await Promise.all(events.map(({ event }) => eraser.eraseEvent({ id: event?.id ?? '' })));
      }
      const left = async () => [
        await secretsIn(service, workspaceId),
        await secretsIn(other, workspaceId),
      ];
      await expect.poll(left, { timeout: 5_000 }).toEqual([0, 0]);
      const stream = await readStream(other, workspaceId);
      expect(stream.map(({ sequence }) => Number(sequence))).toEqual(range(1, 40));
      // Those who were past the erased events have learnt of it.
      const told = await Promise.all(followers.map((one) => one.events(40)));
      expect(told).toHaveLength(2);
      await Promise.all(followers.map((one) => one.leave()));
    },
    20_000,
  );

  test('what a reader had not taken yet never reaches it, and it misses nothing', async () => {
    const workspaceId = await newWorkspace();
    const text = 'x'.repeat(5_000);
    await fillLog(
      service.database,
      workspaceId,
      range(1, 60).map(() => ({ type: 'user.signed_up', payload: { secret, text } })),
    );
    const slow = await openSlowReader(workspaceId);
    const before = await slow.read(8_000);
    await eraseQuietly(service.database, workspaceId, range(1, 60));
    // 64 KB were written before and wait for it, which it is not given the time to take.
    const cutOffs = () =>
      service.logLines.filter(({ reason }) => reason === 'SUBSCRIBER_TOO_SLOW').length;
    await expect.poll(cutOffs, { timeout: 5_000 }).toBe(1);
    const cut = await slow.readAll();
    // Of more than 300 KB, what was under way.
    expect(before.length + cut.length).toBeLessThan(100_000);
    const ids = [...(before + cut).matchAll(/^id: (\d+)\ndata: .*\}\n\n/gm)].map(([, id]) =>
      Number(id),
    );
    expect(ids).toEqual(range(1, ids.length));
    const again = await openSlowReader(workspaceId, ids.at(-1));
    const rest = await again.readUntil('caught_up');
    expect(rest).not.toContain(secret);
    const restIds = [...rest.matchAll(/^id: (\d+)\ndata/gm)].map(([, id]) => Number(id));
    expect(restIds).toEqual(range(ids.length + 1, 120));
    again.leave();
  }, 20_000);

  /** Server-Sent Events over HTTP/2, to a reader that has room for 16 KB and takes what it is told to. */
  async function openSlowReader(workspaceId: string, lastEventId?: number) {
    const session = connect(service.baseUrl, { settings: { initialWindowSize: 16_384 } });
    session.on('error', () => undefined);
    const stream = session.request({
      ':path': `/v1/events/stream?workspace_id=${workspaceId}&after_sequence=0`,
      authorization: `Bearer ${service.secretKey}`,
      ...(lastEventId !== undefined && { 'last-event-id': `${lastEventId}` }),
    });
    stream.setEncoding('utf8');
    stream.on('error', () => undefined);
    const closed = new Promise<void>((resolve) => stream.on('close', () => resolve()));
    const take = async (isEnough: (text: string) => boolean) => {
      let text = '';
      while (!isEnough(text)) {
        const chunk: string | null = stream.read();
        if (chunk !== null) text += chunk;
        else if (stream.destroyed) break;
        else {
          await Promise.race([
            closed,
            new Promise<void>((resolve) => stream.once('readable', () => resolve())),
          ]);
        }
      }
      return text;
    };
    return {
      read: (characters: number) => take(({ length }) => length >= characters),
      readUntil: (part: string) => take((text) => text.includes(part)),
      async readAll() {
        const text = await take(() => false);
        session.destroy();
        return text;
      },
      leave: () => session.destroy(),
    };
  }
});
