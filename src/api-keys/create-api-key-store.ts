import type { AuditedChange } from '../audit/index.ts';
import type { Transaction } from '../database/transaction.ts';
import { describeRateLimits } from '../rate-limits/index.ts';
import { toRateLimitColumns } from '../rate-limits/rate-limit-columns.entity.ts';
import { newId, uuidOf } from '../type-id.ts';
import { ApiKeyEntity, type ApiKeyRow, toApiKey } from './api-key.entity.ts';
import { type ApiKey, type Caller, exceedsCaller, type Grant, outlivesCaller } from './api-key.ts';
import type { ApiKeyActor } from './api-key-actor.ts';
import { ApiKeyExceedsCaller, RequestIdReused } from './api-key-errors.ts';
import { type HeldKeys, recordKeyChange } from './held-keys-store.ts';

export interface NewApiKey extends Grant {
  readonly displayName: string;
  readonly hint: string;
  readonly secretHash: Buffer;
}

export interface CreateOptions {
  /** The operator, unless given. */
  readonly by?: ApiKeyActor | undefined;
  /** Of a caller: what it calls the request, which makes no second key within 24 hours. */
  readonly request?: CreateRequest | undefined;
  /** Runs in the transaction before the key is written; not where the request has made its key before. */
  readonly check?: ((tx: Transaction) => Promise<void>) | undefined;
}

export interface CreateRequest {
  readonly id: string;
  /** SHA-256 of what it asks for. */
  readonly fingerprint: Buffer;
}

export interface CreatedApiKey {
  readonly apiKey: ApiKey;
  /** The same request has made it before, with a secret of its own. */
  readonly replayed: boolean;
}

export type { Transaction };

const requestKeptMs = 24 * 60 * 60_000;

/** @throws RequestIdReused, ApiKeyExceedsCaller, what `check` throws */
export async function createApiKey(
  held: HeldKeys,
  key: NewApiKey,
  { request, check }: CreateOptions,
): Promise<CreatedApiKey> {
  const { tx, now, caller } = held;
  const made = caller && request && (await findMade(held, caller, request));
  if (made !== undefined) return { apiKey: toApiKey(made), replayed: true };
  if (caller !== undefined) assertWithin(caller, key);
  await check?.(tx);
  const { rateLimits, ...grant } = key;
  const row = tx.em.create(ApiKeyEntity, {
    ...grant,
    ...toRateLimitColumns(rateLimits),
    id: uuidOf(newId('key')),
    scopes: [...key.scopes],
    workspaceIds: [...key.workspaceIds],
    typePatterns: [...key.typePatterns],
    createdAt: now,
    requestId: request?.id,
    requestFingerprint: request?.fingerprint,
    createdBy: caller && uuidOf(caller.apiKeyId),
  });
  const apiKey = toApiKey(row);
  await recordKeyChange(held, 'api_key.created', { ...apiKey, changes: describe(apiKey) });
  return { apiKey, replayed: false };
}

/** The key that the same request has made. One from more than 24 hours ago gives its request id up. */
async function findMade(
  { tx, now }: HeldKeys,
  { apiKeyId }: Caller,
  request: CreateRequest,
): Promise<ApiKeyRow | undefined> {
  const ofRequest = { createdBy: uuidOf(apiKeyId), requestId: request.id };
  const row = await tx.em.findOne(ApiKeyEntity, ofRequest);
  if (row === null) return undefined;
  if (now.getTime() - row.createdAt.getTime() >= requestKeptMs) {
    row.requestId = null;
    await tx.em.flush();
    return undefined;
  }
  if (Buffer.from(row.requestFingerprint ?? '').equals(request.fingerprint)) return row;
  throw new RequestIdReused(toApiKey(row).id);
}

function assertWithin(caller: Caller, key: Grant): void {
  const exceeds = exceedsCaller(caller, key);
  if (exceeds !== undefined) throw new ApiKeyExceedsCaller(exceeds);
  if (outlivesCaller(caller, key)) throw new ApiKeyExceedsCaller('expires_at');
}

/** For the audit: what the key may do, and how people tell it from others. */
function describe(apiKey: ApiKey): AuditedChange['changes'] {
  const listed = (list: readonly string[]) => (list.length === 0 ? undefined : list);
  return {
    kind: apiKey.kind,
    display_name: apiKey.displayName,
    hint: apiKey.hint,
    scopes: listed(apiKey.scopes),
    workspace_ids: listed(apiKey.workspaceIds),
    type_patterns: listed(apiKey.typePatterns),
    expires_at: apiKey.expiresAt,
    ...describeRateLimits(apiKey.rateLimits),
  };
}
