import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  byteaArray,
  int4Array,
  int8Array,
  jsonArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from '../../src/database/binary-arrays.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** A time as text would depend on the zone of the session. */
const micros = '(extract(epoch from element) * 1000000)::bigint::text';

/** What PostgreSQL makes of an array, as text element by element. */
async function readBack(type: string, array: Buffer): Promise<(string | null)[]> {
  const rows = await database.query(
    `select ${type === 'timestamptz' ? micros : 'element::text'} as element
    from unnest($1::${type}[]) with ordinality as t (element, place)
    order by place`,
    [array],
  );
  return rows.map(({ element }) => element as string | null);
}

const text = fc.string({ unit: 'grapheme' }).filter((one) => !one.includes('\u0000'));
const maybe = <T>(one: fc.Arbitrary<T>) => fc.array(fc.option(one, { nil: undefined }));
const orNull = <T>(one: T | undefined, write: (value: T) => string) =>
  one === undefined ? null : write(one);

/** In microseconds since the beginning of 1970. */
const years1To9999 = { min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n };

test.each([
  ['text', maybe(text), textArray, (one: string) => one],
  ['json', maybe(text.map((one) => JSON.stringify({ one }))), jsonArray, (one: string) => one],
  [
    'bytea',
    maybe(fc.uint8Array().map((bytes) => Buffer.from(bytes))),
    byteaArray,
    (one: Buffer) => `\\x${one.toString('hex')}`,
  ],
  ['uuid', maybe(fc.uuid()), uuidArray, (one: string) => one],
  ['int4', maybe(fc.integer()), int4Array, String],
  ['int8', maybe(fc.maxSafeInteger()), int8Array, String],
  ['timestamptz', maybe(fc.bigInt(years1To9999)), timestamptzArray, String],
] as [
  string,
  fc.Arbitrary<unknown[]>,
  (elements: unknown[]) => Buffer,
  (one: unknown) => string,
][])(
  'an array of %s arrives as it was, in its order and with its nulls',
  async (type, elements, toArray, write) => {
    await fc.assert(
      fc.asyncProperty(elements, async (some) => {
        const expected = some.map((one) => orNull(one, write));
        expect(await readBack(type, toArray(some))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  },
);

test('an array of another type is refused and not misread', async () => {
  const reading = readBack('text', uuidArray([randomUUID()]));
  await expect(reading).rejects.toMatchObject({ code: '42804' });
});
