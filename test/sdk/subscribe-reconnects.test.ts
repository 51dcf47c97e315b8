import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import type { HarborError, Reconnect, SubscribeOptions } from '../../sdk/src/index.ts';
import { connectTo, take } from './following.ts';
import { serviceError } from './scripted-server.ts';
import {
  caughtUp,
  cutAfter,
  eventMessage,
  failWith,
  heartbeat,
  type ServerConnection,
  type StreamStep,
  startScriptedStream,
  tell,
} from './scripted-stream.ts';

const fromStart = { workspaceId: 'ws_1', afterSequence: 0 };

/** After the steps, an event arrives; more than once, in case the first is late on a busy machine. */
const arrive = tell(eventMessage(100));

/** The reconnects until the event arrives. */
async function reconnects(
  steps: StreamStep[],
  given: Parameters<typeof connectTo>[1] = {},
  options: SubscribeOptions = {},
): Promise<Reconnect[]> {
  const server = await startScriptedStream([...steps, ...Array(9).fill(arrive)]);
  const seen: Reconnect[] = [];
  const events = connectTo(server.baseUrl, { wait: () => Promise.resolve(), ...given });
  const onReconnect = (reconnect: Reconnect) => void seen.push(reconnect);
  const subscription = events.subscribe(fromStart, { onReconnect, ...options });
  expect(await take(subscription, 1)).toEqual([100]);
  return seen;
}

describe('a subscription that loses its connection', () => {
  test.each<[string, StreamStep, Partial<HarborError>]>([
    ['resets', (connection) => connection.reset(), { reason: 'CONNECTION_FAILED' }],
    ['closes without a word', (connection) => connection.close(), { code: 'unavailable' }],
    ['ends the stream', (connection) => connection.end(), { reason: 'CONNECTION_FAILED' }],
    ['stops', failWith(serviceError(Code.Unavailable, 'SHUTTING_DOWN')), { code: 'unavailable' }],
    [
      'finds it too slow',
      failWith(serviceError(Code.ResourceExhausted, 'SUBSCRIBER_TOO_SLOW')),
      { reason: 'SUBSCRIBER_TOO_SLOW', name: 'OverloadedError' },
    ],
    ['has a proxy answer 502', (connection) => connection.refuse(502), { reason: undefined }],
  ])('connects again when the service %s', async (_, step, error) => {
    const [reconnect, ...further] = await reconnects([step]);
    expect(reconnect?.error).toMatchObject(error);
    expect(further).toEqual([]);
  });

  test('says what happened, and is not live until it has caught up again', async () => {
    const server = await startScriptedStream([
      cutAfter(caughtUp(3)),
      tell(eventMessage(4), caughtUp(4), eventMessage(5)),
    ]);
    const seen: unknown[] = [];
    const subscription = connectTo(server.baseUrl).subscribe(
      { workspaceId: 'ws_1' },
      {
        onLive: (sequence) => seen.push(['live', sequence]),
        onReconnect: ({ error, failures, delayMs }) =>
          seen.push([subscription.live, error.message, failures, delayMs]),
      },
    );
    for await (const { sequence } of subscription) {
      seen.push([sequence, subscription.live]);
      if (sequence === 5) break;
    }
    expect(seen).toEqual([
      ['live', 3],
      [
        false,
        expect.stringMatching(/^The stream from http:.+ was cut: the connection was closed/),
        1,
        0,
      ],
      [4, false],
      ['live', 4],
      [5, true],
    ]);
  });

  test('counts a silent connection as dead, and cuts it', async () => {
    const gone = Promise.withResolvers<void>();
    const silent: StreamStep = async (connection) => {
      await connection.send(caughtUp(3));
      gone.resolve(connection.closed);
    };
    const [reconnect] = await reconnects([silent], { idleMs: 50 });
    expect(reconnect?.error.message).toContain('was cut: no message for 50 ms');
    await gone.promise;
  });

  test('waits for a first message, longer each time that none came', async () => {
    const silent: StreamStep = () => {};
    const seen = await reconnects(Array(4).fill(silent), { idleMs: 100 }, { timeoutMs: 30 });
    expect(seen.slice(0, 4).map(({ error }) => [error.reason, error.message])).toEqual(
      [30, 60, 100, 100].map((ms) => [
        'DEADLINE_EXCEEDED',
        expect.stringContaining(`within ${ms} ms`),
      ]),
    );
  });

  test('doubles the longest wait up to 5 s, and begins anew after a message', async () => {
    const refused = (connection: ServerConnection) => connection.refuse(503);
    const steps = [...Array(7).fill(refused), cutAfter(heartbeat(1)), refused];
    const seen = await reconnects(steps, { random: () => 1 });
    expect(seen.map(({ failures, delayMs }) => [failures, delayMs])).toEqual([
      ...[100, 200, 400, 800, 1600, 3200, 5000].map((delayMs, index) => [index + 1, delayMs]),
      [1, 100],
      [2, 200],
    ]);
  });

  test('waits as long as the service asks, up to 5 minutes', async () => {
    const later = (retryDelayMs: number) =>
      failWith(serviceError(Code.Unavailable, 'SHUTTING_DOWN', { retryDelayMs }));
    const waits: number[] = [];
    await reconnects([later(1_000), later(60_000), later(3_600_000)], {
      random: () => 0.5,
      wait: async (ms) => void waits.push(ms),
    });
    expect(waits).toEqual([1_050, 60_100, 300_200]);
  });

  test('gives up after maxRetries failures in a row', async () => {
    const closed: StreamStep = (connection) => connection.close();
    const server = await startScriptedStream([closed, cutAfter(heartbeat(1)), closed, closed]);
    const subscription = connectTo(server.baseUrl).subscribe(fromStart, { maxRetries: 2 });
    await expect(take(subscription, 1)).rejects.toMatchObject({ name: 'UnavailableError' });
    expect(server.requests).toHaveLength(4);
  });

  test.each<[Code, string, string]>([
    [Code.Unauthenticated, 'API_KEY_INVALID', 'AuthenticationError'],
    [Code.PermissionDenied, 'EVENT_TYPE_NOT_ALLOWED', 'PermissionError'],
    [Code.NotFound, 'WORKSPACE_NOT_FOUND', 'NotFoundError'],
    [Code.OutOfRange, 'SEQUENCE_IN_FUTURE', 'InvalidRequestError'],
    [Code.DataLoss, 'LOG_GAP', 'InternalError'],
    [Code.DataLoss, 'LOG_SET_BACK', 'InternalError'],
    [Code.Internal, 'INTERNAL', 'InternalError'],
  ])('throws code %i (%s) into the loop, after what came before it', async (code, reason, name) => {
    const error = serviceError(code, reason, { metadata: { last_sequence: '1' } });
    const server = await startScriptedStream([failWith(error, eventMessage(1))]);
    const subscription = connectTo(server.baseUrl).subscribe(fromStart);
    const iterator = subscription[Symbol.asyncIterator]();
    expect((await iterator.next()).value?.sequence).toBe(1);
    await expect(iterator.next()).rejects.toMatchObject({
      ...{ name, reason, requestId: 'req_1', retryable: false, metadata: { last_sequence: '1' } },
    });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(server.requests).toHaveLength(1);
  });
});
