import { expect, test } from 'vitest';
import { fingerprintOf } from '../src/events/event.ts';
import type { JsonObject } from '../src/events/payload.ts';

/** Made by the service before events had subjects: keys of that time live on across an upgrade. */
const version1: readonly [type: string, payload: JsonObject, fingerprint: string][] = [
  [
    'invoice.paid',
    { invoice_id: 'inv_0192ac4e8b1d', amount_cents: 4200 },
    '0427a8eba91766b0645ac3a039d6bde2eda5b4e2b54e049035d1d9431c2f4c12',
  ],
  [
    'ünï😀',
    {
      b: [1e21, -0, 0.1, null, { '': '"\\' }],
      a: { é: true, '€': '😀' },
    },
    '38d3033de8ef91c262e633d0cd3abfcd8d9232c55efc32fdc8f7b54ebb6bd011',
  ],
  ['x', {}, '77f689c4813ea3100cc67d8e92d3012adae81e077621f21371d10248af777155'],
];

test.each(version1)(
  'an event without a subject has the fingerprint it always had: %s',
  (...row) => {
    const [type, payload, fingerprint] = row;
    expect(fingerprintOf({ type, payload }).toString('hex')).toBe(fingerprint);
    expect(fingerprintOf({ type, payload, subject: undefined }).toString('hex')).toBe(fingerprint);
  },
);

test('a subject is part of the content, in version 2 of the fingerprint', () => {
  const of = (subject?: string) =>
    fingerprintOf({ type: 'invoice.paid', subject, payload: { a: 1 } }).toString('hex');
  expect(of('inv_1')).toBe('29286576afdfc605d4440473ba9e268e937402e328002a7e0dbd0a3bee02fb70');
  expect(new Set([of(), of('inv_1'), of('inv_2'), of('invoice.paid')]).size).toBe(4);
});

test('the order of the members does not matter, and neither does what a retry may give afresh', () => {
  const event = { type: 'a', subject: 's', payload: { x: 1, y: { b: 2, a: 3 } } };
  const retried = {
    ...event,
    payload: { y: { a: 3, b: 2 }, x: 1 },
    occurredAtMicros: 5n,
    metadata: { attempt: '2' },
  };
  expect(fingerprintOf(retried)).toEqual(fingerprintOf(event));
});
