import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { rateLimitColumns, toRateLimits } from '../rate-limits/rate-limit-columns.entity.ts';
import { idOf } from '../type-id.ts';
import type { ApiKey } from './api-key.ts';
import { TextArray } from './text-array.entity.ts';

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
    typePatterns: p.type(TextArray).columnType('text[]'),
    createdAt: p.datetime(3),
    expiresAt: p.datetime(3).nullable(),
    revokedAt: p.datetime(3).nullable(),
    lastUsedAt: p.datetime(3).nullable(),
    /** What its maker named the request that made it; taken off when that may be used again. */
    requestId: p.text().nullable(),
    /** SHA-256 of what that request asked for. */
    requestFingerprint: p.blob().nullable(),
    /** The key that made it; null for the command line. */
    createdBy: p.uuid().nullable(),
    ...rateLimitColumns(),
    /** When the last of its old secrets stops working; null when none works any more. */
    oldSecretsExpireAt: p
      .datetime(3)
      .nullable()
      .formula(
        (key) => `(
          select max(least(old.expires_at, ${key.expiresAt})) from api_key_old_secrets as old
          where old.api_key_id = ${key.id} and old.expires_at > clock_timestamp()
            and ${key.revokedAt} is null
            and (${key.expiresAt} is null or ${key.expiresAt} > clock_timestamp()))`,
      ),
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

export type ApiKeyRow = InferEntity<typeof ApiKeyEntity>;

/** A row as the domain knows it: without its secret. */
export function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    id: idOf('key', row.id),
    kind: row.kind,
    displayName: row.displayName,
    hint: row.hint,
    scopes: row.scopes,
    workspaceIds: row.workspaceIds,
    typePatterns: row.typePatterns,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt ?? undefined,
    revokedAt: row.revokedAt ?? undefined,
    lastUsedAt: row.lastUsedAt ?? undefined,
    oldSecretsExpireAt: row.oldSecretsExpireAt ?? undefined,
    rateLimits: toRateLimits(row),
  };
}
