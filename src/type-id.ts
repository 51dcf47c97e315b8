import { randomUUIDv7 } from 'node:crypto';
import { type TypeId, toUUID } from 'typeid-js';

/** The prefixes of Harbor's ids; the id of a workspace is opaque text instead. */
export type IdPrefix = 'evt' | 'key' | 'aud' | 'whe' | 'rpl' | 'win';

/** A new id, `<prefix>_` and 26 characters of base32: a TypeID with a UUIDv7 inside. */
export function newId(prefix: IdPrefix): string {
  return idOf(prefix, newUuid());
}

/**
 * A UUIDv7 for a new id, for the database; see `idOf`.
 *
 * @param atMs the time in it, in milliseconds since 1970; that of this machine unless given.
 */
export function newUuid(atMs?: number): string {
  const uuid = randomUUIDv7();
  if (atMs === undefined) return uuid;
  const time = Math.trunc(atMs).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}${uuid.slice(13)}`;
}

/** The UUID inside an id, for the database. */
export function uuidOf(id: string): string {
  return toUUID(id as TypeId<string>);
}

/** The UUID inside an id that came from outside, or undefined when it is not a TypeID of that prefix. */
export function findUuid(prefix: IdPrefix, id: string): string | undefined {
  if (!id.startsWith(`${prefix}_`)) return undefined;
  try {
    return uuidOf(id);
  } catch {
    return undefined;
  }
}

/** The same id where it is a TypeID of that prefix, else undefined: for ids that came from outside. */
export function findId(prefix: IdPrefix, id: string): string | undefined {
  return findUuid(prefix, id) === undefined ? undefined : id;
}

const alphabet = [...'0123456789abcdefghjkmnpqrstvwxyz'];
/** Ten bits each. */
const pairs = alphabet.flatMap((first) => alphabet.map((second) => first + second));
const dash = 0x2d;

/**
 * The id of a UUID that came from the database, in lower case. A page has 500 of them, and the library takes four times as
 * long, which was a tenth of the page.
 */
export function idOf(prefix: IdPrefix, uuid: string): string {
  let id = `${prefix}_`;
  let bits = 0;
  // Its 128 bits with two zeros before them: 10 bits of 2 digits, and 20 of each 5.
  let digits = 3;
  for (let index = 0; index < uuid.length; index++) {
    const code = uuid.charCodeAt(index);
    if (code === dash) continue;
    bits = (bits << 4) | (code < 0x3a ? code - 0x30 : code - 0x57);
    if (++digits < 5) continue;
    if (index > 1) id += pairs[bits >> 10];
    id += pairs[bits & 0x3ff];
    bits = 0;
    digits = 0;
  }
  return id;
}

/** A conversion that remembers what it has converted: for a batch or page of many ids of which few differ. */
export function remembering(convert: (from: string) => string): (from: string) => string {
  const known = new Map<string, string>();
  return (from) => {
    const before = known.get(from);
    if (before !== undefined) return before;
    const to = convert(from);
    known.set(from, to);
    return to;
  };
}
