import { type InferEntity, raw } from '@mikro-orm/postgresql';
import { textArray } from '../database/binary-arrays.ts';
import type { Database } from '../database/database.ts';
import { awaitEntities } from '../database/entity-query.ts';
import type { Transaction } from '../database/transaction.ts';
import { idOf, newUuid, uuidOf } from '../type-id.ts';
import { AuditRecordEntity } from './audit-record.entity.ts';
import { type AuditedChange, type AuditRecord, toChangeTexts } from './audit-record.ts';
import { listOfWorkspacesStatement } from './audit-statements.ts';

/** Writes down a change, in its transaction: both are there, or none. */
export async function recordAudit(tx: Transaction, change: AuditedChange): Promise<void> {
  const { actor, action, targetId, workspaceIds, changes } = change;
  await tx.em.insert(AuditRecordEntity, {
    id: newUuid(),
    recordedAt: raw('clock_timestamp()'),
    action,
    apiKeyId: actor.apiKeyId === undefined ? null : uuidOf(actor.apiKeyId),
    requestId: actor.requestId ?? '',
    targetId,
    workspaceIds: workspaceIds.toSorted(),
    changes: toChangeTexts(changes),
  });
}

/** Which records are read: at most `limit`, the newest first. */
export interface AuditSelection {
  /** Only older ones; undefined: from the newest on. */
  readonly beforeId: string | undefined;
  /** Undefined: whatever it was done to. */
  readonly targetId: string | undefined;
  /**
   * Records of no other workspace than these, and some that are of several, whether these are among them or not.
   * Undefined: all; also left out of account where there is a target.
   */
  readonly workspaceIds: readonly string[] | undefined;
  readonly limit: number;
}

/** Reads the audit. All throw DatabaseUnavailable. */
export interface AuditStore {
  read(selection: AuditSelection): Promise<AuditRecord[]>;
}

/** Above every id. */
const uuidMax = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const readTimeoutMs = 5_000;

export function createAuditStore({
  orm,
  statements,
}: Pick<Database, 'orm' | 'statements'>): AuditStore {
  async function idsOf(workspaceIds: readonly string[], before: string, limit: number) {
    const values = [textArray(workspaceIds), before, limit];
    const rows = await statements.run<{ id: string }>(
      listOfWorkspacesStatement,
      values,
      readTimeoutMs,
    );
    return rows.map(({ id }) => id);
  }

  return {
    async read({ beforeId, targetId, workspaceIds, limit }) {
      const before = beforeId === undefined ? uuidMax : uuidOf(beforeId);
      const id =
        targetId === undefined && workspaceIds !== undefined
          ? { $in: await idsOf(workspaceIds, before, limit) }
          : { $lt: before };
      const where = targetId === undefined ? { id } : { id, targetId };
      const rows = await awaitEntities(
        orm.em.fork().find(AuditRecordEntity, where, { orderBy: { id: 'desc' }, limit }),
      );
      return rows.map(toRecord);
    },
  };
}

function toRecord(row: InferEntity<typeof AuditRecordEntity>): AuditRecord {
  return {
    id: idOf('aud', row.id),
    recordedAt: row.recordedAt,
    action: row.action,
    apiKeyId: row.apiKeyId == null ? undefined : idOf('key', row.apiKeyId),
    requestId: row.requestId,
    targetId: row.targetId,
    workspaceIds: row.workspaceIds,
    changes: row.changes,
  };
}
