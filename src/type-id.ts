import { randomUUIDv7 } from 'node:crypto';
import { fromUUID, type TypeId, toUUID } from 'typeid-js';

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

/** The id of a UUID that came from the database. */
export function idOf(prefix: IdPrefix, uuid: string): string {
  return fromUUID(uuid, prefix);
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
