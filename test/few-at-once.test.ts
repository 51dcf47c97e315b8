import { expect, test } from 'vitest';
import { fewAtOnce } from '../src/events/log/few-at-once.ts';

const patience = { silentMs: 20, waitMsMax: 60 };
/** Nothing of this comes to its end. */
const usual = { silentMs: 60_000, waitMsMax: 60_000 };

test('two at once run, the others in the order in which they came, however long the crowd takes', async () => {
  const inTurn = fewAtOnce({ max: 2, ...patience });
  const begun: number[] = [];
  let running = 0;
  let runningMax = 0;
  const tasks = Array.from({ length: 200 }, (_, n) =>
    inTurn(async () => {
      begun.push(n);
      runningMax = Math.max(runningMax, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return n;
    }),
  );
  expect(await Promise.all(tasks)).toEqual(begun);
  expect(begun).toEqual(begun.toSorted((a, b) => a - b));
  expect(runningMax).toBe(2);
});

test('behind tasks that never end the others fail, but for a few that look whether it goes on; then all run', async () => {
  const inTurn = fewAtOnce({ max: 2, ...patience });
  const hole = Promise.withResolvers<string>();
  let begun = 0;
  const ask = () =>
    inTurn(() => {
      begun++;
      return hole.promise;
    });
  const outcomes = Array.from({ length: 200 }, async () => ask().catch(({ name }: Error) => name));
  const late = outcomes.slice(20);
  expect(new Set(await Promise.all(late))).toEqual(new Set(['DatabaseUnavailable']));
  expect(begun).toBeLessThan(20);
  hole.resolve('answered');
  expect(await outcomes[0]).toBe('answered');
  expect(await ask()).toBe('answered');
});

test('whoever leaves waits no more, and what had not begun never does; the others have their turns', async () => {
  const inTurn = fewAtOnce({ max: 2, ...usual });
  const begun: number[] = [];
  const hole = Promise.withResolvers<void>();
  const leaving = new AbortController();
  const tasks = Array.from({ length: 20 }, (_, n) => {
    const task = async () => {
      begun.push(n);
      await hole.promise;
      return n;
    };
    return inTurn(task, n % 2 === 0 ? leaving.signal : undefined);
  });
  const left = Promise.allSettled(tasks.filter((_, n) => n % 2 === 0));
  leaving.abort('has left');
  const reasons = (await left).map((one) => one.status === 'rejected' && one.reason);
  expect(new Set(reasons)).toEqual(new Set(['has left']));
  await expect(inTurn(async () => 0, leaving.signal)).rejects.toBe('has left');
  expect(begun).toEqual([0, 1]);
  hole.resolve();
  const odd = tasks.filter((_, n) => n % 2 === 1);
  expect(await Promise.all(odd)).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
  expect(begun).toEqual([0, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
});

test('a turn that was given to one who leaves at that moment goes to the next', async () => {
  const inTurn = fewAtOnce({ max: 1, ...usual });
  const leaving = new AbortController();
  const hole = Promise.withResolvers<void>();
  const first = inTurn(() => hole.promise);
  const second = inTurn(async () => 'second', leaving.signal);
  const third = inTurn(async () => 'third');
  second.catch(() => undefined);
  hole.resolve();
  await first.then(() => leaving.abort('has left'));
  await expect(second).rejects.toBe('has left');
  expect(await third).toBe('third');
  expect(await inTurn(async () => 'fourth')).toBe('fourth');
});
