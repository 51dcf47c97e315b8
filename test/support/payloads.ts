import { isDeepStrictEqual } from 'node:util';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';

/** A payload of exactly so many bytes of compact JSON, one of them in two bytes of UTF-8. */
export function payloadOfBytes(bytes: number): JsonObject {
  return { text: `é${'x'.repeat(bytes - Buffer.byteLength('{"text":"é"}'))}` };
}

/** Objects and arrays by turns, so many levels deep; the payload itself is the first. */
export function payloadOfLevels(levels: number): JsonObject {
  let value: JsonValue = 'the bottom';
  for (let level = levels; level > 1; level--) value = level % 2 === 0 ? [value] : { in: value };
  return { in: value };
}

/** Whether two payloads are equal as the contract says: by members, in any order, -0 being 0. */
export function isSamePayload(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(normalized(one), normalized(other));
}

/** Objects are made anew, so that members count and prototypes do not. */
function normalized(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normalized);
  if (typeof value !== 'object' || value === null) return value === 0 ? 0 : value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, normalized(member)]),
  );
}
