import { Code } from '@connectrpc/connect';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { connectTo, take } from './following.ts';
import { serviceError } from './scripted-server.ts';
import {
  caughtUp,
  encodeEnd,
  encodeMessages,
  eventMessage,
  heartbeat,
  type StreamMessage,
  type StreamStep,
  startScriptedStream,
} from './scripted-stream.ts';

/** A place of the log: an event that matches, or one that does not, with a heartbeat perhaps. */
type Place = 'event' | 'skipped' | 'heartbeat';
type Ending = 'reset' | 'close';

/** What the service says of the log after a sequence. */
function tell(log: readonly Place[], afterSequence: number): StreamMessage[] {
  const messages = log.map((place, index): StreamMessage | undefined => {
    if (place === 'event') return eventMessage(index + 1);
    return place === 'heartbeat' ? heartbeat(index + 1) : undefined;
  });
  const ahead = messages.slice(afterSequence).filter((message) => message !== undefined);
  return [...ahead, caughtUp(Math.max(log.length, afterSequence))];
}

function matching(log: readonly Place[], afterSequence = 0): number[] {
  return log.flatMap((place, index) =>
    place === 'event' && index >= afterSequence ? index + 1 : [],
  );
}

/** Sends the stream of the log up to a byte, its end included, and ends the connection there. */
function cutAt(log: readonly Place[], bytes: number, ending: Ending): StreamStep {
  return async (connection) => {
    const messages = tell(log, Number(connection.request.afterSequence));
    const whole = Buffer.concat([encodeMessages(messages), encodeEnd(shuttingDown)]);
    if (bytes > 0) await connection.sendBytes(whole.subarray(0, bytes));
    connection[ending]();
  };
}

/** Sends the stream of the log, and stays. */
function tellAll(log: readonly Place[]): StreamStep {
  return (connection) => connection.send(...tell(log, Number(connection.request.afterSequence)));
}

const shuttingDown = serviceError(Code.Unavailable, 'SHUTTING_DOWN');

describe('a subscription that is cut', () => {
  test('hands out each event once, in order, wherever the cuts are', async () => {
    const anyLog = fc.array(fc.constantFrom<Place>('event', 'event', 'skipped', 'heartbeat'), {
      maxLength: 30,
    });
    const anyCut = fc.record({
      place: fc.double({ min: 0, max: 1, noNaN: true }),
      ending: fc.constantFrom<Ending>('reset', 'close'),
      grownBy: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const anyStart = fc.double({ min: 0, max: 1, noNaN: true });
    await fc.assert(
      fc.asyncProperty(
        anyLog,
        fc.array(anyCut, { maxLength: 8 }),
        anyStart,
        async (log, cuts, s) => {
          const afterSequence = Math.floor(s * log.length);
          let known = afterSequence;
          const steps = cuts.map(({ place, ending, grownBy }) => {
            known += Math.floor(grownBy * (log.length + 1 - known));
            const sofar = log.slice(0, known);
            const bytesMax = encodeMessages(tell(sofar, afterSequence)).length + 200;
            return cutAt(sofar, Math.floor(place * bytesMax), ending);
          });
          const server = await startScriptedStream([...steps, tellAll(log)]);
          const controller = new AbortController();
          const subscription = connectTo(server.baseUrl).subscribe(
            { workspaceId: 'ws_1', afterSequence },
            {
              signal: controller.signal,
              onLive: () => {
                if (server.requests.length > cuts.length) controller.abort();
              },
            },
          );
          expect(await take(subscription, Number.POSITIVE_INFINITY)).toEqual(
            matching(log, afterSequence),
          );
          expect(subscription.lastSequence).toBe(log.length);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('loses and repeats nothing at any byte', async () => {
    const log: Place[] = ['event', 'skipped', 'heartbeat', 'event'];
    const bytes = encodeMessages(tell(log, 0)).length + encodeEnd(shuttingDown).length;
    for (let byte = 0; byte <= bytes; byte += 1) {
      const server = await startScriptedStream([cutAt(log, byte, 'close'), tellAll(log)]);
      const subscription = connectTo(server.baseUrl).subscribe({
        workspaceId: 'ws_1',
        afterSequence: 0,
      });
      expect([byte, ...(await take(subscription, 2))]).toEqual([byte, 1, 4]);
    }
  });

  test('asks again for an event that had arrived but was not taken', async () => {
    const cut = Promise.withResolvers<void>();
    const server = await startScriptedStream([
      async (connection) => {
        await connection.send(...[1, 2, 3, 4].map((sequence) => eventMessage(sequence)));
        await cut.promise;
        connection.reset();
        await connection.closed;
      },
      tellAll(['event', 'event', 'event', 'event']),
    ]);
    const subscription = connectTo(server.baseUrl).subscribe({
      workspaceId: 'ws_1',
      afterSequence: 0,
    });
    const iterator = subscription[Symbol.asyncIterator]();
    const taken = [(await iterator.next()).value?.sequence];
    cut.resolve();
    for (let count = 0; count < 3; count += 1) taken.push((await iterator.next()).value?.sequence);
    await iterator.return?.();
    expect(taken).toEqual([1, 2, 3, 4]);
  });
});
