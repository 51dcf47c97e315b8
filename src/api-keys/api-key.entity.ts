import { defineEntity, p } from '@mikro-orm/core';

/** A row of `api_keys`. The secret itself is never stored. */
export const ApiKeyEntity = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: p.uuid().primary(),
    kind: p.text().$type<'secret' | 'restricted'>(),
    displayName: p.text(),
    hint: p.text(),
    secretHash: p.blob().unique('api_keys_secret_hash_key'),
    scopes: p.array().columnType('text[]'),
    workspaceIds: p.array().columnType('text[]'),
    typePatterns: p.array().columnType('text[]'),
    createdAt: p.datetime(3),
    expiresAt: p.datetime(3).nullable(),
    revokedAt: p.datetime(3).nullable(),
    lastUsedAt: p.datetime(3).nullable(),
  },
});
