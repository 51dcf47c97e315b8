import { getEventListeners } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { SubscribeEventsResponseSchema } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { EventsDeps } from '../../sdk/src/events/events.ts';
import { Harbor } from '../../sdk/src/index.ts';
import { connectTo, secretKey, take } from './following.ts';
import { serviceError } from './scripted-server.ts';
import {
  caughtUp,
  eventMessage,
  failWith,
  type StreamMessage,
  startScriptedStream,
} from './scripted-stream.ts';

const fromStart = { workspaceId: 'ws_1', afterSequence: 0 };

describe('a subscription that is left', () => {
  /** A stream of one event whose connection says when the client has gone. */
  async function startHolding(...messages: StreamMessage[]) {
    const gone = Promise.withResolvers<void>();
    const server = await startScriptedStream([
      async (connection) => {
        gone.resolve(connection.closed);
        if (messages.length > 0) await connection.send(...messages);
      },
    ]);
    return { server, gone: gone.promise, events: connectTo(server.baseUrl) };
  }

  test('by break cuts its connection at once', async () => {
    const { gone, events } = await startHolding(eventMessage(1));
    const subscription = events.subscribe(fromStart);
    for await (const _event of subscription) break;
    await gone;
    expect(subscription.lastSequence).toBe(1);
  });

  test('by return() cuts its connection at once, and ends a next() that waits', async () => {
    const { gone, events } = await startHolding(eventMessage(1));
    const iterator = events.subscribe(fromStart)[Symbol.asyncIterator]();
    await iterator.next();
    const waiting = iterator.next();
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    await gone;
  });

  test('by its signal ends the loop without an error, and cuts its connection', async () => {
    const { server, gone, events } = await startHolding(eventMessage(1), caughtUp(1));
    const controller = new AbortController();
    const subscription = events.subscribe(fromStart, {
      signal: controller.signal,
      onLive: () => queueMicrotask(() => controller.abort()),
    });
    expect(await take(subscription, 2)).toEqual([1]);
    await gone;
    expect(server.requests).toHaveLength(1);
  });

  test('by its signal before a first answer ends the loop', async () => {
    const { server, gone, events } = await startHolding();
    const controller = new AbortController();
    const taking = take(events.subscribe(fromStart, { signal: controller.signal }), 1);
    await expect.poll(() => server.requests.length).toBe(1);
    controller.abort();
    expect(await taking).toEqual([]);
    await gone;
  });

  test('by its signal while it waits to reconnect ends the loop at once', async () => {
    const later = serviceError(Code.Unavailable, 'SHUTTING_DOWN', { retryDelayMs: 60_000 });
    const server = await startScriptedStream([failWith(later)]);
    const controller = new AbortController();
    const subscription = connectTo(server.baseUrl).subscribe(fromStart, {
      signal: controller.signal,
      onReconnect: () => queueMicrotask(() => controller.abort()),
    });
    expect(await take(subscription, 1)).toEqual([]);
    expect(server.requests).toHaveLength(1);
  });

  test('by a signal that is aborted already sends nothing', async () => {
    const { server, events } = await startHolding(eventMessage(1));
    const subscription = events.subscribe(fromStart, { signal: AbortSignal.abort() });
    expect(await take(subscription, 1)).toEqual([]);
    expect(server.requests).toHaveLength(0);
  });

  test('by its signal is not live any more, whenever that comes', async () => {
    for (let ticks = 0; ticks < 20; ticks += 1) {
      const controller = new AbortController();
      const abortLater = async () => {
        for (let tick = 0; tick < ticks; tick += 1) await undefined;
        controller.abort();
      };
      const next = () => {
        const message = create(SubscribeEventsResponseSchema, caughtUp(1));
        void abortLater();
        return Promise.resolve({ done: false as const, value: message });
      };
      const subscribeEvents = () => ({ [Symbol.asyncIterator]: () => ({ next }) });
      const client = { subscribeEvents } as unknown as EventsDeps['client']; // All that is used.
      const toldWhenAborted: boolean[] = [];
      const subscription = connectTo('http://127.0.0.1:9', { client }).subscribe(fromStart, {
        signal: controller.signal,
        onLive: () => toldWhenAborted.push(controller.signal.aborted),
      });
      expect(await take(subscription, 1)).toEqual([]);
      expect(subscription.live).toBe(false);
      expect(toldWhenAborted).not.toContain(true);
    }
  });

  test('leaves no listener on its signal', async () => {
    const { events } = await startHolding(eventMessage(1));
    const { signal } = new AbortController();
    const subscription = events.subscribe(fromStart, { signal });
    await take(subscription, 1);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('by its signal ends the loop where fetch does not listen to signals', async () => {
    const fetching = Promise.withResolvers<void>();
    const fetch = () => {
      fetching.resolve();
      return new Promise<Response>(() => {});
    };
    const controller = new AbortController();
    const { signal } = controller;
    const harbor = new Harbor({ secretKey, fetch });
    const taking = take(harbor.events.subscribe(fromStart, { signal }), 1);
    await fetching.promise;
    controller.abort();
    expect(await taking).toEqual([]);
  });
});
