import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  fromWireKeys,
  InvalidRequestError,
  type JsonObject,
  type JsonValue,
  toWireKeys,
} from '../../sdk/src/index.ts';

const snakeCase = /^[a-z][a-z0-9]*(_[a-z][a-z0-9]*)+$/;

/** Keys of every kind, those that matter to the rule much more often than chance would bring them. */
const anyKey = fc.oneof(
  fc.constantFrom('aB', 'a_b', 'invoiceId', 'invoice_id'),
  fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'B', '1', '_'), maxLength: 6 }),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'ID',
    'a1_b',
    'äÖ',
    'a__b',
    '_a',
    'a_',
    '',
  ),
);

function payloadWith(key: fc.Arbitrary<string>): fc.Arbitrary<JsonObject> {
  return fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom<JsonValue>(null, true, 0, 4200, 'snake_case and camelCase'),
      fc.array(tie('value'), { maxLength: 3 }),
      tie('object'),
    ),
    object: fc
      .uniqueArray(fc.tuple(key, tie('value')), { selector: ([name]) => name, maxLength: 5 })
      .map((members) => Object.fromEntries(members)),
  })).object;
}

/** Tells own `__proto__` members apart from prototypes, which toEqual does not. */
const text = (payload: JsonObject) => JSON.stringify(payload);

describe('the rule of payload keys', () => {
  test.each([
    ['invoiceId', 'invoice_id'],
    ['amountCents', 'amount_cents'],
    ['userURL', 'user_u_r_l'],
    ['address2Line', 'address2_line'],
    ['a1B', 'a1_b'],
  ])('sends %s as %s, and reads it back', (key, wireKey) => {
    expect(text(toWireKeys({ [key]: 1 }))).toBe(text({ [wireKey]: 1 }));
    expect(text(fromWireKeys({ [wireKey]: 1 }))).toBe(text({ [key]: 1 }));
  });

  test.each([
    'id',
    'ID',
    'URL',
    'InvoiceId',
    'a__b',
    '_a',
    'a_',
    '_aB',
    'a_B',
    'invoice_Id',
    'line_1',
    'due date',
    'dueDate ',
    'due-date',
    'äÖ',
    'aÖ',
    '1a',
    '',
    '__proto__',
    'constructor',
    '$ref',
    'aB_c',
  ])('leaves %j alone, both ways', (key) => {
    const payload = Object.fromEntries([[key, { [key]: 1 }]]);
    expect(text(toWireKeys(payload))).toBe(text(payload));
    expect(text(fromWireKeys(payload))).toBe(text(payload));
  });

  test('rewrites keys of objects inside objects and arrays, and never values', () => {
    const payload = { lineItems: [[{ unitPrice: 'unitPrice' }], 'lineItems'], a: { bC: null } };
    const wire = { line_items: [[{ unit_price: 'unitPrice' }], 'lineItems'], a: { b_c: null } };
    expect(toWireKeys(payload)).toStrictEqual(wire);
    expect(fromWireKeys(wire)).toStrictEqual(payload);
  });

  test('records a snake_case key as it is; it comes back as camelCase', () => {
    expect(toWireKeys({ invoice_id: 1 })).toStrictEqual({ invoice_id: 1 });
    expect(fromWireKeys({ invoice_id: 1 })).toStrictEqual({ invoiceId: 1 });
  });

  test('refuses two keys that would become one, and names both', () => {
    const collide = () => toWireKeys({ lines: [{ invoiceId: 1, invoice_id: 2 }] });
    expect(collide).toThrow(InvalidRequestError);
    expect(collide).toThrow(/^payload\.lines\[0\] has both "invoiceId" and "invoice_id"/);
  });

  test('keeps both keys when an event of another client holds both', () => {
    const wire = { invoice_id: 1, invoiceId: 2 };
    expect(text(fromWireKeys(wire))).toBe(text(wire));
  });

  test('keeps a __proto__ member as data', () => {
    const payload = JSON.parse('{"__proto__": {"isAdmin": true}}') as JsonObject;
    expect(text(toWireKeys(payload))).toBe('{"__proto__":{"is_admin":true}}');
    expect(text(fromWireKeys(toWireKeys(payload)))).toBe(text(payload));
  });

  test('gives every payload without snake_case keys back exactly', () => {
    const keys = anyKey.filter((key) => !snakeCase.test(key));
    fc.assert(
      fc.property(payloadWith(keys), (payload) => {
        expect(text(fromWireKeys(toWireKeys(payload)))).toBe(text(payload));
      }),
      { numRuns: 2000 },
    );
  });

  test('never loses a member on the way out: it is sent, or the payload is refused', () => {
    fc.assert(
      fc.property(payloadWith(anyKey), (payload) => {
        expect(countUnlessRefused(payload)).toBeOneOf([countMembers(payload), 'refused']);
      }),
      { numRuns: 2000 },
    );
  });

  test('never loses a member and never throws on the way in, whatever was recorded', () => {
    fc.assert(
      fc.property(payloadWith(anyKey), (wire) => {
        expect(countMembers(fromWireKeys(wire))).toBe(countMembers(wire));
      }),
      { numRuns: 2000 },
    );
  });
});

function countUnlessRefused(payload: JsonObject): number | 'refused' {
  try {
    return countMembers(toWireKeys(payload));
  } catch (error) {
    if (error instanceof InvalidRequestError) return 'refused';
    throw error;
  }
}

function countMembers(value: JsonValue): number {
  if (value === null || typeof value !== 'object') return 0;
  const inside = Object.values(value).reduce<number>((sum, item) => sum + countMembers(item), 0);
  return inside + (Array.isArray(value) ? 0 : Object.keys(value).length);
}
