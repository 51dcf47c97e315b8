import { defineEntity, p } from '@mikro-orm/core';

/** A row of `idempotency_keys`: which event holds a key, and until when. */
export const IdempotencyKeyEntity = defineEntity({
  name: 'IdempotencyKey',
  tableName: 'idempotency_keys',
  properties: {
    // The primary key is the unique constraint that makes a create exactly once.
    workspaceId: p.text().collation('C').primary(),
    key: p.text().collation('C').primary(),
    fingerprint: p.blob(),
    eventId: p.uuid(),
    createdAt: p.datetime(3),
    expiresAt: p.datetime(3).index('idempotency_keys_expires_at_index'),
  },
});
