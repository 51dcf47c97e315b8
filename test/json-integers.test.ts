import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findInexactInteger, replaceInexactIntegers } from '../src/json-integers.ts';

test.each([
  '9007199254740993',
  '-9007199254740993',
  '9007199254740995',
  '12345678901234567890',
  '123456789012345678901234567890',
  '1'.repeat(309),
  '1'.repeat(310),
  '1'.repeat(400),
  `1${'0'.repeat(309)}`,
])('%s is not exact', (literal) => {
  expect(findInexactInteger(`{"n":[0,${literal}]}`)).toBe(literal);
  expect(replaceInexactIntegers(`{"n":${literal},"m":[${literal}]}`)).toBe(
    '{"n":1e999,"m":[1e999]}',
  );
});

test.each([
  '0',
  '-0',
  '9007199254740991',
  '9007199254740992',
  '9007199254740994',
  '-9007199254740994',
  '1000000000000000000000',
  '1152921504606846976',
  `${2n ** 1023n}`,
  '0.1',
  '0.12345678901234567890',
  '12345678901234567890.5',
  '1e300',
  '12345678901234567e10',
  '"9007199254740993"',
  '"\\"9007199254740993"',
  '[{"9007199254740993":"x9007199254740993"}]',
])('%s is left as it is', (literal) => {
  const text = `{"n":${literal} , "m":[ ${literal}]}`;
  expect(replaceInexactIntegers(text)).toBe(text);
  expect(findInexactInteger(text)).toBeUndefined();
});

/** Not made valid by the replacement, and not shortened. */
test.each(['012345678901234567', '--12345678901234567', '12345678901234567a', '+9007199254740993'])(
  '%s stays what is no JSON',
  (literal) => {
    expect(() => JSON.parse(replaceInexactIntegers(`[${literal}]`))).toThrow(SyntaxError);
  },
);

test('exactly the integers that a double changes are found, wherever they stand', () => {
  const integer = fc.oneof(
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
    fc.bigInt({ min: 2n ** 53n - 20n, max: 2n ** 53n + 20n }),
    fc
      .tuple(fc.nat({ max: 1023 }), fc.nat({ max: 2 }))
      .map(([n, add]) => 2n ** BigInt(n) + BigInt(add)),
  );
  const isExact = (integer: bigint) => BigInt(Number(integer)) === integer;
  fc.assert(
    fc.property(fc.array(fc.tuple(integer, fc.string())), (members) => {
      const write = (number: (integer: bigint) => string) =>
        `[${members.map(([one, text]) => `{${JSON.stringify(text)}: ${number(one)}}`).join(',')}]`;
      const marked = write((one) => (isExact(one) ? `${one}` : '1e999'));
      expect(replaceInexactIntegers(write(String))).toBe(marked);
    }),
  );
});
