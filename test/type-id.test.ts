import fc from 'fast-check';
import { fromUUID } from 'typeid-js';
import { expect, test } from 'vitest';
import { findUuid, idOf, newUuid, uuidOf } from '../src/type-id.ts';

const ends = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];

test('the id of a UUID is the TypeID that the library makes of it, and gives the UUID back', () => {
  const uuids = fc.oneof(fc.uuid(), fc.constantFrom(...ends, newUuid()));
  fc.assert(
    fc.property(uuids, (uuid) => {
      const id = idOf('evt', uuid);
      expect(id).toBe(fromUUID(uuid, 'evt'));
      expect(uuidOf(id)).toBe(uuid);
      expect(findUuid('evt', id)).toBe(uuid);
    }),
  );
});
