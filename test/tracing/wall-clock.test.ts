import { expect, test } from 'vitest';
import { createWallClock } from '../../src/tracing/wall-clock.ts';

test('times stand to each other as they were measured, until the clock of the day is set', () => {
  let [wallMs, nowMs] = [1_000_000_000_000, 500];
  const timeOf = createWallClock(
    () => wallMs,
    () => nowMs,
  );
  expect(timeOf(500)).toEqual([1_000_000_000, 0]);
  // A whole millisecond of the one clock is not one of the other.
  nowMs = 501.9;
  wallMs += 1;
  expect(timeOf(500.25)).toEqual([1_000_000_000, 250_000]);
  expect(timeOf(499.5)).toEqual([999_999_999, 999_500_000]);
  wallMs += 60_000;
  expect(timeOf(501.9)).toEqual([1_000_000_060, 1_000_000]);
});
