import { InvalidRequestError } from './errors.ts';
import type { JsonObject, JsonValue } from './json.ts';
import { memberPath } from './payload-path.ts';

/** Far above the 32 levels of the service, which is the authority; only keeps the stack in bounds. */
const levelsMax = 100;

/**
 * The payload as plain JSON: what JSON.stringify would write, where that loses nothing. Dates become
 * ISO strings, toJSON() is honoured, undefined members are dropped, undefined items become null.
 * Where JSON.stringify would lose or garble data in silence (NaN, infinities, functions, Map, Set,
 * invalid dates) or throw (BigInt, cycles), an InvalidRequestError names the path and what to do.
 */
export function toJsonObject(payload: unknown): JsonObject {
  const json = toJsonValue(unwrap(payload, ''), 'payload', []);
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    throw refusal('payload', 'must be an object, for example { invoiceId: "inv_1" }.');
  }
  return json;
}

function toJsonValue(value: unknown, path: string, ancestors: readonly object[]): JsonValue {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      throw refusal(path, `is ${value}, which JSON cannot say. Send a finite number, or null.`);
    case 'bigint':
      throw refusal(path, 'is a BigInt, which JSON cannot say. Send it as a string.');
    case 'undefined':
      throw refusal(path, 'is missing.');
    case 'object':
      return value === null ? null : toJsonContainer(value, path, ancestors);
    default:
      throw refusal(path, `is a ${typeof value}, which JSON cannot say. Leave it out.`);
  }
}

function toJsonContainer(value: object, path: string, ancestors: readonly object[]): JsonValue {
  if (ancestors.includes(value))
    throw refusal(path, 'contains itself. Send an object without cycles.');
  if (ancestors.length >= levelsMax) {
    throw refusal(path, `is more than ${levelsMax} levels deep; the service takes 32.`);
  }
  if (value instanceof Date) throw refusal(path, 'is an invalid date. Send a valid one, or null.');
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
    throw refusal(
      path,
      `is of type ${kind}, which JSON cannot say. Send a plain object or a string.`,
    );
  }
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, raw]): [string, unknown] => [key, unwrap(raw, key)])
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, toJsonValue(member, memberPath(path, key), inside)]),
  );
}

/** What a value says of itself through toJSON, as for JSON.stringify; an invalid date says nothing. */
function unwrap(value: unknown, key: string): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date && Number.isNaN(value.getTime())) return value;
  const { toJSON } = value as { toJSON?: unknown };
  return typeof toJSON === 'function' ? toJSON.call(value, key) : value;
}

function refusal(path: string, description: string): InvalidRequestError {
  return new InvalidRequestError(`${path} ${description}`, [{ field: path, description }], {
    code: 'invalid_argument',
    reason: 'PAYLOAD_INVALID',
  });
}
