import { beforeAll, expect, test } from 'vitest';
import { checkWebhooks, type WebhookCheck } from '../support/webhook-check/check-webhooks.ts';

let check: WebhookCheck;

/** 100,000 deliveries to 20 endpoints that flap, by two processes that are killed again and again. */
beforeAll(async () => {
  check = await checkWebhooks({
    events: 5_800,
    kills: ['first service', 'both', 'second service', 'postgres', 'first service', 'both'],
    seed: 20_261_126,
    msMax: 400_000,
  });
}, 420_000);

const each = <Value>(value: (verdict: WebhookCheck['endpoints'][string]) => Value) =>
  Object.values(check.endpoints).map(value);

test('no event is missing for any endpoint, and none comes that was not asked for', () => {
  expect(check.deliveries).toBeGreaterThan(100_000);
  expect(check.misbehaved).toBeGreaterThan(1_000);
  expect(check.lost).toBeGreaterThan(20);
  expect(each(({ expected }) => expected)).toHaveLength(20);
  expect(each(({ missing }) => missing)).toEqual(each(() => 0));
  expect(each(({ foreign }) => foreign)).toEqual(each(() => 0));
});

test('what comes twice comes as the same event and the same delivery', () => {
  expect(each(({ duplicates }) => duplicates).reduce((sum, one) => sum + one)).toBeGreaterThan(0);
  expect(each(({ examples }) => examples).flat()).toEqual([]);
  expect(each(({ mistaken }) => mistaken)).toEqual(each(() => 0));
});

test('the order holds where it was promised: of the log, and of subjects', () => {
  expect(each(({ outOfOrder }) => outOfOrder)).toEqual(each(() => 0));
});

test('what was on its way when its process was killed is taken up, and nothing is left at the end', () => {
  expect(check.cutOff.requests).toBeGreaterThanOrEqual(40);
  expect(check.cutOff.accepted).toBe(check.cutOff.requests);
  expect(check.left).toBe(0);
});

test('each delivery ends once and is counted once, whatever was killed', () => {
  expect(check.miscounts).toEqual([]);
});
