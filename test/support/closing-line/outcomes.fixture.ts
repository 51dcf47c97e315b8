import { expect, test } from 'vitest';

let tries = 0;

test('wobbles', () => {
  tries++;
  expect(tries).toBe(2);
});

test('fails', () => {
  expect(tries).toBe(0);
});

// Skipped so that a skipped one is counted.
test.skip('is skipped', () => undefined);
