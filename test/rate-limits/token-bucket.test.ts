import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from '../../src/rate-limits/token-bucket.ts';

const rate = { perSecond: 10, capacity: 20 };

test('is full at first, holds no more however long nobody takes, and lets as many go at once', () => {
  const bucket = new TokenBucket(rate, 1_000);
  expect(bucket.settle(1_000_000_000).left).toBe(20);
  bucket.take(20);
  expect([bucket.left, bucket.isFull]).toEqual([0, false]);
});

test('has the next token on the millisecond that it has told, and not one before', () => {
  const bucket = new TokenBucket(rate, 0);
  bucket.take(20);
  expect(bucket.msUntil(1)).toBe(100);
  expect(bucket.settle(99).left).toBe(0);
  expect(bucket.msUntil(1)).toBe(1);
  expect(bucket.settle(100).left).toBe(1);
  expect(bucket.msUntil(1)).toBe(0);
});

test('tells the time until several, and until all of it where more are wanted than it holds', () => {
  const bucket = new TokenBucket(rate, 0);
  bucket.take(20);
  expect([bucket.msUntil(5), bucket.msUntil(20), bucket.msUntil(5_000)]).toEqual([
    500, 2_000, 2_000,
  ]);
});

test('what is taken beyond what is left comes in first', () => {
  const bucket = new TokenBucket(rate, 0);
  bucket.take(50);
  expect([bucket.left, bucket.msUntil(1)]).toEqual([-30, 3_100]);
  expect(bucket.settle(3_099).left).toBe(0);
  expect(bucket.settle(3_100).left).toBe(1);
});

test('parts of a millisecond and of a token are neither lost nor given', () => {
  const bucket = new TokenBucket({ perSecond: 3, capacity: 3 }, 0.9);
  bucket.take(3);
  // A third of a second in a thousand steps, none of which is a whole millisecond.
  for (let step = 1; step <= 1_000; step++) bucket.settle(0.9 + step * 0.3334);
  expect(bucket.left).toBe(1);
});

test('keeps with a new rate what was taken, as far as that goes', () => {
  const bucket = new TokenBucket(rate, 0);
  bucket.take(15);
  const raised = { perSecond: 100, capacity: 200 };
  expect(bucket.settle(0, raised).left).toBe(185);
  expect(bucket.settle(0, { perSecond: 1, capacity: 4 }).left).toBe(0);
  expect(bucket.settle(1_000).left).toBe(1);
});

test('never lets more through than its capacity and what has come in since, whatever comes when', () => {
  const steps = fc.array(fc.record({ ms: fc.nat(2_000), wanted: fc.nat(30) }), { maxLength: 200 });
  const rates = fc.record({
    perSecond: fc.integer({ min: 1, max: 1_000 }),
    burst: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(steps, rates, (given, { perSecond, burst }) => {
      const bucket = new TokenBucket({ perSecond, capacity: perSecond * burst }, 0);
      let nowMs = 0;
      let taken = 0;
      for (const { ms, wanted } of given) {
        nowMs += ms;
        bucket.settle(nowMs);
        for (let one = 0; one < wanted && bucket.left >= 1; one++) {
          bucket.take(1);
          taken++;
        }
      }
      expect(taken).toBeLessThanOrEqual(perSecond * burst + (perSecond * nowMs) / 1000);
    }),
  );
});

test('stays exact at the largest limits that there are', () => {
  const bucket = new TokenBucket({ perSecond: 1_000_000_000, capacity: 3_600_000_000_000 }, 0);
  bucket.take(3_600_000_000_000 + 262_144);
  expect(bucket.left).toBe(-262_144);
  expect(bucket.settle(1).left).toBe(737_856);
});
