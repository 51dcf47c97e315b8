import { type AuditedChange, findDifferences, operator } from '../audit/index.ts';
import type { Database } from '../database/database.ts';
import {
  describeRateLimitChange,
  findAboveOwn,
  type RateLimits,
  updateRateLimits,
} from '../rate-limits/index.ts';
import { toRateLimitColumns } from '../rate-limits/rate-limit-columns.entity.ts';
import { ApiKeyOldSecretEntity, type ApiKeyRow, toApiKey } from './api-key.entity.ts';
import { type ApiKey, exceedsCaller, isActive, mayMake } from './api-key.ts';
import type { ApiKeyActor } from './api-key-actor.ts';
import {
  ApiKeyContradictory,
  ApiKeyExceedsCaller,
  ApiKeyNotActive,
  ApiKeyNotFound,
  OldSecretsFull,
} from './api-key-errors.ts';
import {
  type CreatedApiKey,
  type CreateOptions,
  createApiKey,
  type NewApiKey,
} from './create-api-key-store.ts';
import { type HeldKeys, holdKeys, recordKeyChange } from './held-keys-store.ts';
import { hashSecret, hintOf, newSecret } from './secret.ts';

/** The changes of API keys, each in a transaction. All throw ApiKeyInvalid where the caller's key works no more. */
export interface ApiKeyChanges {
  /** @throws RequestIdReused, ApiKeyExceedsCaller, what `check` throws */
  create(key: NewApiKey, options?: CreateOptions): Promise<CreatedApiKey>;
  /**
   * Gives the key a new secret; the one that it had works on for the overlap.
   *
   * @throws ApiKeyNotFound, also when the caller could not have made the key; ApiKeyNotActive, OldSecretsFull
   */
  rotate(id: string, overlapMs: number, by?: ApiKeyActor): Promise<RotatedApiKey>;
  /**
   * Changes what is given.
   *
   * @throws ApiKeyNotFound, also when the caller could not have made the key; ApiKeyNotActive;
   * ApiKeyContradictory when it would expire later than before; RateLimitOutOfRange; ApiKeyExceedsCaller when a rate
   * limit would be above that of the caller.
   */
  update(id: string, update: ApiKeyUpdate, by?: ApiKeyActor): Promise<ApiKey>;
  /**
   * Revokes a key with all its secrets; an already revoked one keeps its time.
   *
   * @throws ApiKeyNotFound, also when the key may do more than the caller.
   */
  revoke(id: string, by?: ApiKeyActor): Promise<ApiKey>;
}

export interface RotatedApiKey {
  readonly apiKey: ApiKey;
  readonly secret: string;
}

export interface ApiKeyUpdate {
  readonly displayName?: string | undefined;
  readonly expiresAt?: Date | undefined;
  /** Of these too, what is undefined stays; 0 takes a limit off. */
  readonly rateLimits?: RateLimits | undefined;
}

/** In their overlap at once; more are rotations that go wrong. */
const oldSecretsMax = 10;

export function createApiKeyChanges({ change }: Pick<Database, 'change'>): ApiKeyChanges {
  /** For changes of a key that works, by who could have made it. */
  function changeActive<T>(
    by: ApiKeyActor,
    id: string,
    work: (held: HeldKeys, row: ApiKeyRow) => Promise<T>,
  ): Promise<T> {
    return holdKeys(change, { by, id }, (held) => {
      const { row, caller, now } = held;
      if (row === undefined || !mayMake(caller, toApiKey(row))) throw new ApiKeyNotFound(id);
      if (!isActive(toApiKey(row), now)) throw new ApiKeyNotActive(id);
      return work(held, row);
    });
  }

  return {
    create(key, options = {}) {
      const { by = operator } = options;
      return holdKeys(change, { by, id: undefined }, (held) => createApiKey(held, key, options));
    },

    rotate(id, overlapMs, by = operator) {
      return changeActive(by, id, async (held, row) => {
        const oldSecretsExpireAt = await keepSecret(held, row, overlapMs);
        const secret = newSecret(row.kind);
        row.secretHash = hashSecret(secret);
        row.hint = hintOf(secret);
        const apiKey = { ...toApiKey(row), oldSecretsExpireAt };
        const changes = { hint: row.hint, old_secrets_expire_at: oldSecretsExpireAt };
        await recordKeyChange(held, 'api_key.rotated', { ...apiKey, changes });
        return { apiKey, secret };
      });
    },

    update(id, { displayName, expiresAt, rateLimits }, by = operator) {
      return changeActive(by, id, async (held, row) => {
        const before = toApiKey(row);
        if (displayName !== undefined) row.displayName = displayName;
        if (expiresAt !== undefined) expireAt(row, expiresAt);
        if (rateLimits !== undefined)
          limit(held, row, updateRateLimits(before.rateLimits, rateLimits));
        const apiKey = toApiKey(row);
        const changes = findChanges(before, apiKey);
        if (changes !== undefined) {
          await recordKeyChange(held, 'api_key.updated', { ...apiKey, changes });
        }
        return apiKey;
      });
    },

    revoke(id, by = operator) {
      return holdKeys(change, { by, id }, async (held) => {
        const { tx, now, caller, row } = held;
        const isHidden = row && caller && exceedsCaller(caller, toApiKey(row)) !== undefined;
        if (row === undefined || isHidden) throw new ApiKeyNotFound(id);
        if (row.revokedAt !== null) return toApiKey(row);
        await tx.em.nativeDelete(ApiKeyOldSecretEntity, { apiKeyId: row.id });
        row.revokedAt = now;
        const apiKey = { ...toApiKey(row), oldSecretsExpireAt: undefined };
        const changes = { revoked_at: now };
        await recordKeyChange(held, 'api_key.revoked', { ...apiKey, changes });
        return apiKey;
      });
    },
  };
}

/** Lets the secret of a key work on as an old one; returns when the last of the old ones stops. */
async function keepSecret(
  { tx, now }: HeldKeys,
  row: ApiKeyRow,
  overlapMs: number,
): Promise<Date | undefined> {
  const { oldSecretsExpireAt: others } = toApiKey(row);
  await tx.em.nativeDelete(ApiKeyOldSecretEntity, { apiKeyId: row.id, expiresAt: { $lte: now } });
  if (overlapMs === 0) return others;
  const kept = await tx.em.count(ApiKeyOldSecretEntity, { apiKeyId: row.id });
  if (kept >= oldSecretsMax) throw new OldSecretsFull(oldSecretsMax);
  const endsAtMs = now.getTime() + overlapMs;
  const expiresAt = new Date(Math.min(endsAtMs, row.expiresAt?.getTime() ?? endsAtMs));
  const { id: apiKeyId, secretHash } = row;
  await tx.em.insert(ApiKeyOldSecretEntity, { apiKeyId, secretHash, expiresAt });
  return others !== undefined && others > expiresAt ? others : expiresAt;
}

/** What was changed, for the audit; undefined: nothing. */
function findChanges(before: ApiKey, now: ApiKey): AuditedChange['changes'] | undefined {
  const limits = describeRateLimitChange(before.rateLimits, now.rateLimits);
  return findDifferences(describe(before), { ...describe(now), ...limits });
}

function describe({ displayName, expiresAt }: ApiKey): AuditedChange['changes'] {
  return { display_name: displayName, expires_at: expiresAt };
}

/** A caller raises no limit, not even that of its own key, above its own. */
function limit({ caller }: HeldKeys, row: ApiKeyRow, rateLimits: RateLimits | undefined): void {
  const exceeds = findAboveOwn(caller?.rateLimits, rateLimits);
  if (exceeds !== undefined) throw new ApiKeyExceedsCaller(exceeds);
  Object.assign(row, toRateLimitColumns(rateLimits));
}

function expireAt(row: ApiKeyRow, expiresAt: Date): void {
  const { expiresAt: before } = toApiKey(row);
  if (before !== undefined && expiresAt > before) {
    const rule = `must not be later than it was, which is ${before.toISOString()}`;
    throw new ApiKeyContradictory('expires_at', rule);
  }
  row.expiresAt = expiresAt;
}
