import { describe, expect, test } from 'vitest';
import { retryDelayMs } from '../../sdk/src/retry.ts';

const retryable = { retryable: true, retryAfterMs: undefined };

describe('the retry schedule', () => {
  test('doubles the longest wait from 100 ms up to 5 s', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 8, 50, 2000].map((n) =>
      retryDelayMs(n, retryable, () => 1),
    );
    expect(longest).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
  });

  test('draws the wait from the whole range, zero included', () => {
    expect(retryDelayMs(3, retryable, () => 0)).toBe(0);
    expect(retryDelayMs(3, retryable, () => 0.25)).toBe(100);
  });

  test('never waits less than the service asks for', () => {
    const asked = { retryable: true, retryAfterMs: 2000 };
    expect(retryDelayMs(1, asked, () => 0)).toBe(2000);
    expect(retryDelayMs(1, asked, () => 0.5)).toBe(2050);
  });

  test('gives up when the service asks for more than 30 s', () => {
    expect(retryDelayMs(1, { retryable: true, retryAfterMs: 30_000 }, () => 0)).toBe(30_000);
    expect(retryDelayMs(1, { retryable: true, retryAfterMs: 30_001 }, () => 0)).toBeUndefined();
  });

  test('does not repeat what cannot succeed', () => {
    expect(retryDelayMs(1, { retryable: false, retryAfterMs: 10 }, () => 0)).toBeUndefined();
  });
});
