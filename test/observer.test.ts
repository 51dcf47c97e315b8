import { expect, test } from 'vitest';
import { type Observer, observeFor } from '../src/observer.ts';

const call: Parameters<Observer['callEnded']>[0] = {
  rpc: undefined,
  protocol: 'rest',
  code: 'ok',
  reason: undefined,
  startedAtMs: 0,
  durationMs: 1,
};

test('every watcher is told what it watches, in the same facts, and of nothing else', () => {
  const told: unknown[] = [];
  const observer = observeFor([
    { callEnded: (ended) => void told.push('calls', ended) },
    {
      callEnded: (ended) => void told.push('all', ended),
      createEnded: (outcome) => void told.push('all', outcome),
    },
  ]);
  observer.callEnded(call);
  observer.createEnded('created');
  observer.batchTaken([], 0);
  expect(told).toEqual(['calls', call, 'all', call, 'all', 'created']);
});

test('a watcher may be an object whose functions need it', () => {
  class Counting {
    count = 0;
    createEnded() {
      this.count++;
    }
  }
  const counting = new Counting();
  observeFor([counting]).createEnded('created');
  expect(counting.count).toBe(1);
});
