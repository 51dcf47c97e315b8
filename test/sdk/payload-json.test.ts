import { describe, expect, test } from 'vitest';
import { InvalidRequestError } from '../../sdk/src/index.ts';
import { toJsonObject } from '../../sdk/src/payload-json.ts';

class Money {
  readonly #cents: number;
  constructor(cents: number) {
    this.#cents = cents;
  }
  toJSON(key: string): object {
    return { cents: this.#cents, key };
  }
}

describe('what a payload may hold', () => {
  test('takes what JSON.stringify writes without loss, and writes the same', () => {
    const payload = {
      paidAt: new Date('2026-05-25T12:00:00Z'),
      note: undefined,
      lines: [undefined, new Money(1), [new Money(2)], null],
      total: new Money(3),
      link: new URL('https://example.com/a'),
      zero: -0,
    };
    expect(JSON.stringify(toJsonObject(payload))).toBe(JSON.stringify(payload));
    expect(Object.is(toJsonObject(payload).zero, 0)).toBe(true);
  });

  test('takes the same object twice, which is no cycle', () => {
    const line = { cents: 1 };
    expect(toJsonObject({ first: line, second: line })).toEqual({ first: line, second: line });
  });

  test('keeps a __proto__ member as data', () => {
    const text = '{"__proto__":{"a":1}}';
    expect(JSON.stringify(toJsonObject(JSON.parse(text)))).toBe(text);
  });

  const cycle: Record<string, unknown> = {};
  cycle.self = { again: [cycle] };
  const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1) });

  test.each<[string, unknown, string]>([
    ['NaN', { amount: Number.NaN }, 'payload.amount is NaN'],
    ['infinity', { lines: [{ amount: -1 / 0 }] }, 'payload.lines[0].amount is -Infinity'],
    ['a BigInt', { 'due date': 1n }, 'payload["due date"] is a BigInt'],
    ['a function', { run: () => 1 }, 'payload.run is a function'],
    ['a symbol', { lines: [Symbol('s')] }, 'payload.lines[0] is a symbol'],
    ['a Map', { prices: new Map() }, 'payload.prices is of type Map'],
    ['bytes', { blob: new Uint8Array(2) }, 'payload.blob is of type Uint8Array'],
    ['an invalid date', { paidAt: new Date('nonsense') }, 'payload.paidAt is an invalid date'],
    ['an error', { error: new Error('secret') }, 'payload.error is of type Error'],
    ['a cycle', cycle, 'payload.self.again[0] contains itself'],
    ['41 levels', deep(41), 'is more than 40 levels deep'],
    ['half a pair in a text', { lines: ['\ud800'] }, 'payload.lines[0] holds a lone surrogate'],
    ['half a pair in a member name', { a: { '\udfff': 1 } }, 'payload.a holds a lone surrogate'],
    ['an array', [], 'payload must be an object'],
    ['text', '{}', 'payload must be an object'],
    ['null', null, 'payload must be an object'],
    ['nothing', undefined, 'payload is missing'],
    ['a date', new Date(0), 'payload must be an object'],
  ])('refuses %s and says where it is', (_, payload, message) => {
    expect(() => toJsonObject(payload)).toThrow(InvalidRequestError);
    expect(() => toJsonObject(payload)).toThrow(message);
  });
});
