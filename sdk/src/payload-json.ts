import type { JsonObject, JsonValue } from './json.ts';
import { memberPath } from './payload-path.ts';
import { refusePayload } from './payload-refusal.ts';

/** Above the 32 levels of the service, which is the authority; beyond 49 it could not read them to say so. */
const levelsMax = 40;

/**
 * The payload as plain JSON: what JSON.stringify would write, where that loses nothing. Dates become
 * ISO strings, toJSON() is honoured, undefined members are dropped, undefined items become null.
 * Where JSON.stringify would lose or garble data in silence (NaN, infinities, functions, Map, Set,
 * invalid dates) or throw (BigInt, cycles), or a text is not well-formed, an InvalidRequestError names the path and what to do.
 */
export function toJsonObject(payload: unknown): JsonObject {
  const json = toJsonValue(unwrap(payload, ''), 'payload', []);
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    throw refusePayload('payload', 'must be an object, for example { invoiceId: "inv_1" }.');
  }
  return json;
}

function toJsonValue(value: unknown, path: string, ancestors: readonly object[]): JsonValue {
  switch (typeof value) {
    case 'string':
      return requireText(value, path);
    case 'boolean':
      return value;
    case 'number':
      // JSON has no negative zero.
      if (Number.isFinite(value)) return value === 0 ? 0 : value;
      throw refusePayload(
        path,
        `is ${value}, which JSON cannot say. Send a finite number, or null.`,
      );
    case 'bigint':
      throw refusePayload(path, 'is a BigInt, which JSON cannot say. Send it as a string.');
    case 'undefined':
      throw refusePayload(path, 'is missing.');
    case 'object':
      return value === null ? null : toJsonContainer(value, path, ancestors);
    default:
      throw refusePayload(path, `is a ${typeof value}, which JSON cannot say. Leave it out.`);
  }
}

function toJsonContainer(value: object, path: string, ancestors: readonly object[]): JsonValue {
  if (ancestors.includes(value))
    throw refusePayload(path, 'contains itself. Send an object without cycles.');
  if (ancestors.length >= levelsMax) {
    throw refusePayload(path, `is more than ${levelsMax} levels deep; the service takes 32.`);
  }
  if (value instanceof Date)
    throw refusePayload(path, 'is an invalid date. Send a valid one, or null.');
  const inside = [...ancestors, value];
  if (Array.isArray(value)) {
    return Array.from(value, (raw: unknown, index) => {
      const item = unwrap(raw, String(index));
      return item === undefined ? null : toJsonValue(item, `${path}[${index}]`, inside);
    });
  }
  // A Map, a Set, an Error or a buffer has no members of its own to write down: it would become {}.
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1);
  if (kind !== 'Object') {
    throw refusePayload(
      path,
      `is of type ${kind}, which JSON cannot say. Send a plain object or a string.`,
    );
  }
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, raw]): [string, unknown] => [key, unwrap(raw, key)])
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [
        requireText(key, path),
        toJsonValue(member, memberPath(path, key), inside),
      ]),
  );
}

/** The wire has UTF-8, which would have U+FFFD in place of half a pair. */
function requireText(text: string, path: string): string {
  if (text.isWellFormed()) return text;
  throw refusePayload(path, 'holds a lone surrogate, which is no character. Send whole ones.');
}

/** What a value says of itself through toJSON, as for JSON.stringify; an invalid date says nothing. */
function unwrap(value: unknown, key: string): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date && Number.isNaN(value.getTime())) return value;
  const { toJSON } = value as { toJSON?: unknown };
  return typeof toJSON === 'function' ? toJSON.call(value, key) : value;
}
