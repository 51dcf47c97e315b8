import { LockMode } from '@mikro-orm/core';
import { type AuditAction, type AuditedChange, recordAudit } from '../audit/index.ts';
import { readClock } from '../database/clock.ts';
import type { Database } from '../database/database.ts';
import type { Transaction } from '../database/transaction.ts';
import { findUuid, uuidOf } from '../type-id.ts';
import { ApiKeyEntity, ApiKeyOldSecretEntity, type ApiKeyRow, toApiKey } from './api-key.entity.ts';
import { type ApiKey, type Caller, isActive } from './api-key.ts';
import type { ApiKeyActor } from './api-key-actor.ts';
import { ApiKeyInvalid } from './api-key-errors.ts';

/** A change of API keys under way: the keys that it is about are held from here to its end. */
export interface HeldKeys {
  readonly tx: Transaction;
  /** By the database's clock, once the keys are held. */
  readonly now: Date;
  readonly by: ApiKeyActor;
  /** Whose secret it is that changes things, as its key is now; undefined: the operator. */
  readonly caller: Caller | undefined;
  /** The key to change, where there is one; what is changed about it is written before the commit. */
  readonly row: ApiKeyRow | undefined;
}

/**
 * Carries out a change of API keys. The key of the caller is held as well: one that was revoked, has expired,
 * or whose secret was rotated away a moment ago makes and changes no key, whatever a process still believes of
 * it, and of what one caller does at once each thing sees the one before.
 *
 * @param id the key to change, which may be nobody's; undefined: none.
 * @throws ApiKeyInvalid where the caller's key works no more; what `Change` and `work` throw.
 */
export function holdKeys<T>(
  change: Database['change'],
  { by, id }: { readonly by: ApiKeyActor; readonly id: string | undefined },
  work: (held: HeldKeys) => Promise<T>,
): Promise<T> {
  const own = by.caller && uuidOf(by.caller.apiKeyId);
  const target = id && findUuid('key', id);
  return change(by.caller?.apiKeyId ?? 'operator', async (tx) => {
    const rows = await holdRows(tx, [own, target]);
    const now = await readClock(tx);
    const rowOf = (uuid: string | undefined) => rows.find((row) => row.id === uuid);
    const caller = by.caller && (await getCallerNow(tx, by.caller, { row: rowOf(own), now }));
    return work({ tx, now, by, caller, row: rowOf(target) });
  });
}

/** Writes down what was changed about a key. */
export function recordKeyChange(
  { tx, by }: HeldKeys,
  action: Extract<AuditAction, `api_key.${string}`>,
  {
    id,
    workspaceIds,
    changes,
  }: Pick<ApiKey, 'id' | 'workspaceIds'> & Pick<AuditedChange, 'changes'>,
): Promise<void> {
  return recordAudit(tx, { actor: by, action, targetId: id, workspaceIds, changes });
}

/** Held in the order of their ids, so that no two changes wait for each other. */
function holdRows(tx: Transaction, ids: readonly (string | undefined)[]): Promise<ApiKeyRow[]> {
  return tx.em.find(
    ApiKeyEntity,
    { id: { $in: ids.filter((id) => id !== undefined) } },
    { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE },
  );
}

async function getCallerNow(
  tx: Transaction,
  caller: Caller,
  { row, now }: { readonly row: ApiKeyRow | undefined; readonly now: Date },
): Promise<Caller> {
  if (row === undefined || !isActive(toApiKey(row), now)) throw new ApiKeyInvalid();
  const secretHash = Buffer.from(caller.secretHash, 'base64');
  if (!secretHash.equals(row.secretHash)) {
    const asOldOne = { secretHash, apiKeyId: row.id, expiresAt: { $gt: now } };
    const found = await tx.em.count(ApiKeyOldSecretEntity, asOldOne);
    if (found === 0) throw new ApiKeyInvalid();
  }
  const { expiresAt, rateLimits } = toApiKey(row);
  return { ...caller, expiresAt, rateLimits };
}
