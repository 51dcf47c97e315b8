import { describe, expect, test } from 'vitest';
import { Harbor, type SubscribeOptions, type SubscribeQuery } from '../../sdk/src/index.ts';
import { connectTo, secretKey, take } from './following.ts';
import {
  caughtUp,
  cutAfter,
  encodeMessages,
  eventMessage,
  heartbeat,
  type StreamStep,
  startScriptedStream,
  tell,
} from './scripted-stream.ts';

const workspaceId = 'ws_1';
const fromStart = { workspaceId, afterSequence: 0 };

describe('harbor.events.subscribe', () => {
  test('hands out what is there, says that it is live, and hands out what comes', async () => {
    const live = Promise.withResolvers<void>();
    const server = await startScriptedStream([
      async (connection) => {
        await connection.send(eventMessage(1), eventMessage(2), caughtUp(2));
        await live.promise;
        await connection.send(eventMessage(3));
      },
    ]);
    const harbor = new Harbor({ secretKey, baseUrl: server.baseUrl });
    const seen: unknown[] = [];
    const subscription = harbor.events.subscribe<{ lineCount: number }>(
      { ...fromStart, types: ['invoice.*'] },
      {
        onLive: (sequence) => {
          seen.push(`live after ${sequence}`);
          live.resolve();
        },
      },
    );
    for await (const event of subscription) {
      seen.push([event.payload.lineCount, subscription.live, subscription.lastSequence]);
      if (event.sequence === 3) break;
    }
    expect(seen).toEqual([[1, false, 1], [2, false, 2], 'live after 2', [3, true, 3]]);
    expect(subscription.live).toBe(false);
    expect(server.requests[0]).toMatchObject({
      workspaceId,
      afterSequence: 0n,
      typePatterns: ['invoice.*'],
    });
  });

  test('asks for a subject and patterns with every connection, whatever they are called', async () => {
    for (const name of ['typePatterns', 'types']) {
      const server = await startScriptedStream([cutAfter(eventMessage(1)), tell(eventMessage(2))]);
      const query = { ...fromStart, subject: 'inv_1', [name]: ['invoice.*'] };
      await take(connectTo(server.baseUrl).subscribe(query), 2);
      expect(server.requests).toHaveLength(2);
      for (const request of server.requests) {
        expect(request).toMatchObject({ subject: 'inv_1', typePatterns: ['invoice.*'] });
      }
    }
  });

  test('sends nothing before it is iterated', async () => {
    const server = await startScriptedStream([tell(eventMessage(1))]);
    const subscription = connectTo(server.baseUrl).subscribe(fromStart);
    expect(subscription.lastSequence).toBe(0);
    expect(server.requests).toHaveLength(0);
    expect(await take(subscription, 1)).toEqual([1]);
  });

  test('can be iterated once', async () => {
    const server = await startScriptedStream([tell(eventMessage(1))]);
    const subscription = connectTo(server.baseUrl).subscribe(fromStart);
    await take(subscription, 1);
    await expect(take(subscription, 1)).rejects.toMatchObject({ reason: 'SUBSCRIPTION_USED' });
  });

  test.each<[string, Partial<SubscribeQuery>, SubscribeOptions, string]>([
    ['no workspace', { workspaceId: undefined as never }, {}, 'workspaceId is missing.'],
    ['a cursor of null', { afterSequence: null as never }, {}, 'afterSequence must be an integer'],
    ['a cursor between', { afterSequence: 1.5 }, {}, 'afterSequence must be an integer from 0'],
    ['types as text', { types: 'a' as never }, {}, 'types must be an array'],
    ['patterns of null', { typePatterns: null as never }, {}, 'typePatterns must be an array'],
    ['an empty subject', { subject: '' }, {}, 'subject must not be empty'],
    ['a timeout of 0', {}, { timeoutMs: 0 }, 'timeoutMs must be an integer from 1'],
    ['a callback that is none', {}, { onLive: true as never }, 'onLive must be a function.'],
  ])('refuses %s at once', (_, query, options, message) => {
    const events = connectTo('http://127.0.0.1:9');
    expect(() => events.subscribe({ workspaceId, ...query }, options)).toThrow(message);
  });

  test('throws into the loop what onLive throws, and cuts the connection', async () => {
    const gone = Promise.withResolvers<void>();
    const server = await startScriptedStream([
      async (connection) => {
        await connection.send(caughtUp(0));
        gone.resolve(connection.closed);
      },
    ]);
    const onLive = () => {
      throw new Error('a mistake of the caller');
    };
    const subscription = connectTo(server.baseUrl).subscribe(fromStart, { onLive });
    await expect(take(subscription, 1)).rejects.toThrow('a mistake of the caller');
    await gone.promise;
    expect(server.requests).toHaveLength(1);
  });

  test('reads no further than the loop has asked for', async () => {
    let pulled = 0;
    const fetch: typeof globalThis.fetch = async () =>
      new Response(
        new ReadableStream<Uint8Array>(
          {
            pull(controller) {
              pulled += 1;
              controller.enqueue(encodeMessages([eventMessage(pulled)]));
            },
          },
          { highWaterMark: 0 },
        ),
        { headers: { 'content-type': 'application/connect+proto' } },
      );
    const harbor = new Harbor({ secretKey, fetch });
    for await (const { sequence } of harbor.events.subscribe(fromStart)) {
      await new Promise((resolve) => setImmediate(resolve));
      // The envelope reader of Connect holds one more.
      expect(pulled).toBeLessThanOrEqual(sequence + 1);
      if (sequence === 20) break;
    }
  });
});

describe('the cursor of a subscription', () => {
  test('moves on with heartbeats and caught_up, past events that do not match', async () => {
    const server = await startScriptedStream([
      cutAfter(eventMessage(2), heartbeat(7)),
      cutAfter(eventMessage(9, 11)),
      cutAfter(caughtUp(20)),
      tell(eventMessage(21)),
    ]);
    const subscription = connectTo(server.baseUrl).subscribe({ workspaceId, afterSequence: 1 });
    expect(await take(subscription, 3)).toEqual([2, 9, 21]);
    expect(server.resumedAfter()).toEqual([1, 7, 11, 20]);
    expect(subscription.lastSequence).toBe(21);
  });

  test('is pinned by the first message when it begins from now', async () => {
    const server = await startScriptedStream([
      (connection) => connection.close(),
      (connection) => connection.refuse(503),
      cutAfter(caughtUp(41)),
      (connection) => connection.reset(),
      tell(eventMessage(42), caughtUp(42)),
    ]);
    const subscription = connectTo(server.baseUrl).subscribe({ workspaceId });
    expect(subscription.lastSequence).toBeUndefined();
    expect(await take(subscription, 1)).toEqual([42]);
    expect(server.resumedAfter()).toEqual([undefined, undefined, undefined, 41, 41]);
  });

  test.each<[string, StreamStep]>([
    ['an event comes twice', tell(eventMessage(5), eventMessage(5))],
    ['an event comes too late', tell(eventMessage(5), heartbeat(9), eventMessage(8))],
    ['a heartbeat leads back', tell(eventMessage(5), heartbeat(4))],
    ['the place of an event is before it', tell(eventMessage(5), eventMessage(6, 5))],
    ['the first event is before the start', tell(eventMessage(1))],
  ])('never goes back: throws when %s', async (_, step) => {
    const server = await startScriptedStream([step]);
    const subscription = connectTo(server.baseUrl).subscribe({ workspaceId, afterSequence: 4 });
    const seen: number[] = [];
    const iterate = async () => {
      for await (const { sequence } of subscription) seen.push(sequence);
    };
    await expect(iterate()).rejects.toMatchObject({
      name: 'InternalError',
      reason: 'RESPONSE_INVALID',
    });
    expect(new Set(seen).size).toBe(seen.length);
    expect(server.requests).toHaveLength(1);
  });

  test('throws when a message cannot be read', async () => {
    const server = await startScriptedStream([
      (connection) => connection.sendBytes(Buffer.from('\0\0\0\0\x05proto')),
    ]);
    const subscription = connectTo(server.baseUrl).subscribe(fromStart);
    await expect(take(subscription, 1)).rejects.toMatchObject({ reason: 'RESPONSE_INVALID' });
  });
});
