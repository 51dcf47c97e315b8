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
    /** What its maker named the request that made it; taken off when that may be used again. */
    requestId: p.text().nullable(),
    /** The key that made it; null for the command line. */
    createdBy: p.uuid().nullable(),
  },
  uniques: [
    {
      name: 'api_keys_request_index',
      properties: ['createdBy', 'requestId'],
      where: 'request_id is not null',
    },
  ],
});

/** A row of `api_key_old_secrets`: a secret that was rotated and is good until it expires. */
export const ApiKeyOldSecretEntity = defineEntity({
  name: 'ApiKeyOldSecret',
  tableName: 'api_key_old_secrets',
  properties: {
    secretHash: p.blob().primary(),
    apiKeyId: p.uuid().index('api_key_old_secrets_api_key_id_index'),
    expiresAt: p.datetime(3),
  },
});
