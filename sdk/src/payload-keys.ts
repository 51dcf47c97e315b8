import type { InvalidRequestError } from './errors.ts';
import type { JsonObject, JsonValue } from './json.ts';
import { memberPath } from './payload-path.ts';
import { refusePayload } from './payload-refusal.ts';

/** A key whose upper-case letters, if it has any, go out as `_` and the lower-case letter. */
const camelCaseKey = /^[a-z][a-zA-Z0-9]*$/;

/** A key that comes back as camelCase: exactly what keys with upper-case letters go out as. */
const snakeCaseKey = /^[a-z][a-z0-9]*(?:_[a-z][a-z0-9]*)+$/;

/** `invoiceId` → `invoice_id`; a key that is not camelCase stays as it is. */
function toWireKey(key: string): string {
  if (!camelCaseKey.test(key)) return key;
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `invoice_id` → `invoiceId`; a key that toWireKey cannot have made stays as it is. */
function fromWireKey(key: string): string {
  if (!snakeCaseKey.test(key)) return key;
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * A copy of the payload with its keys as they go over the wire, in nested objects and arrays too.
 *
 * A key of ASCII letters and digits that starts with a lower-case letter and has an upper-case one
 * (`/^[a-z][a-zA-Z0-9]*$/`) has each upper-case letter replaced by `_` and the lower-case letter:
 * `invoiceId` → `invoice_id`, `userURL` → `user_u_r_l`. Every other key stays as it is: `id`, `ID`,
 * `invoice_id`, `a__b`, `line_1`, `due date`, `äÖ`, `__proto__`. Values are never touched.
 *
 * `fromWireKeys(toWireKeys(payload))` equals the payload, unless it has keys that are snake_case
 * already (`invoice_id`): they are recorded as they are, and come back as camelCase (`invoiceId`).
 *
 * Throws InvalidRequestError when two keys of one object would become the same (`invoiceId` beside
 * `invoice_id`); it names both.
 */
export function toWireKeys(payload: JsonObject): JsonObject {
  return rewriteObject(payload, 'payload', (key, siblings, path) => {
    const wireKey = toWireKey(key);
    if (wireKey !== key && Object.hasOwn(siblings, wireKey)) throw collision(path, key, wireKey);
    return wireKey;
  });
}

/**
 * A copy of the payload with its keys as JavaScript speaks them: the inverse of toWireKeys.
 *
 * A key of lower-case words joined by single underscores, each word starting with a letter
 * (`/^[a-z][a-z0-9]*(_[a-z][a-z0-9]*)+$/`), has each `_x` replaced by `X`: `invoice_id` → `invoiceId`.
 * Every other key stays as it is. So does one whose new name stands beside it already, as other clients
 * may have recorded: `{ invoice_id, invoiceId }` keeps both keys. Never throws, never loses a member.
 */
export function fromWireKeys(payload: JsonObject): JsonObject {
  return rewriteObject(payload, 'payload', (key, siblings) => {
    const ownKey = fromWireKey(key);
    return Object.hasOwn(siblings, ownKey) ? key : ownKey;
  });
}

/** How keys travel: what `payloadKeys` in the options chooses. */
export interface PayloadKeys {
  toWire(payload: JsonObject): JsonObject;
  fromWire(payload: JsonObject): JsonObject;
  /** The path of a field, as the service names it, in the words of the caller. */
  fieldFromWire(field: string): string;
}

const firstSegment = /^[^.[]+/;
const ofPayload = /^payload(?=$|[.[])/;
const segments = /(^|\.)([^.[\]"]+)(?=$|[.[])/g;

/** The rewriting of toWireKeys and fromWireKeys. */
export const camelCaseKeys: PayloadKeys = {
  toWire: toWireKeys,
  fromWire: fromWireKeys,
  fieldFromWire: (field) =>
    ofPayload.test(field)
      ? field.replace(segments, (_, dot: string, key: string) => dot + fromWireKey(key))
      : preservedKeys.fieldFromWire(field),
};

/** No rewriting: payload keys are the same on both sides. */
export const preservedKeys: PayloadKeys = {
  toWire: (payload) => payload,
  fromWire: (payload) => payload,
  fieldFromWire: (field) => field.replace(firstSegment, fromWireKey),
};

type Rename = (key: string, siblings: JsonObject, path: string) => string;

function rewriteValue(value: JsonValue, path: string, rename: Rename): JsonValue {
  if (Array.isArray(value)) {
    return value.map((item, index) => rewriteValue(item, `${path}[${index}]`, rename));
  }
  return value !== null && typeof value === 'object' ? rewriteObject(value, path, rename) : value;
}

/** Object.fromEntries defines members, so that the key `__proto__` is data like any other. */
function rewriteObject(object: JsonObject, path: string, rename: Rename): JsonObject {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [
      rename(key, object, path),
      rewriteValue(value, memberPath(path, key), rename),
    ]),
  );
}

function collision(path: string, key: string, wireKey: string): InvalidRequestError {
  const description =
    `has both "${key}" and "${wireKey}", which are one key on the wire. ` +
    "Keep one of them, or set payloadKeys: 'preserve'.";
  return refusePayload(path, description);
}
