import { expect, test } from 'vitest';
import { fewAtOnce } from '../src/events/log/few-at-once.ts';

const patience = { silentMs: 20, waitMsMax: 60 };

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
