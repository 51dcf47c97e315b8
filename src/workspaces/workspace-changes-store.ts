import { LockMode } from '@mikro-orm/core';
import {
  type Actor,
  type AuditAction,
  type AuditedChange,
  findDifferences,
  operator,
  recordAudit,
} from '../audit/index.ts';
import { readClock } from '../database/clock.ts';
import type { Database } from '../database/database.ts';
import type { Statement } from '../database/statements.ts';
import type { Transaction } from '../database/transaction.ts';
import {
  describeRateLimitChange,
  describeRateLimits,
  findAboveOwn,
  findRaisedAboveOwn,
  type RateLimits,
  RateLimitsExceedCaller,
  updateRateLimits,
} from '../rate-limits/index.ts';
import { toRateLimitColumns } from '../rate-limits/rate-limit-columns.entity.ts';
import { toWorkspace, WorkspaceEntity, type WorkspaceRow } from './workspace.entity.ts';
import {
  assertRetention,
  isShorter,
  type Workspace,
  WorkspaceAlreadyExists,
  WorkspaceNotFound,
  type WorkspaceUpdate,
} from './workspace.ts';

/** The changes of workspaces, each in a transaction, with its record in the audit. */
export interface WorkspaceChanges {
  /**
   * @throws WorkspaceAlreadyExists, also while one of that id that was deleted is not gone yet; RetentionOutOfRange,
   * RateLimitOutOfRange, RateLimitsExceedCaller
   */
  create(id: string, displayName: string, options?: CreateWorkspaceOptions): Promise<Workspace>;
  /**
   * Changes what is given.
   *
   * @throws WorkspaceNotFound, RetentionOutOfRange, RateLimitOutOfRange; RateLimitsExceedCaller when a limit would be
   * raised above that of the caller; and what `assertMayErase` throws where retention is shortened.
   */
  update(id: string, update: WorkspaceUpdate, options?: UpdateWorkspaceOptions): Promise<Workspace>;
  /**
   * Makes a workspace one that is not found, at once in the database; rounds of retention remove its data.
   * One that is deleted already stays so.
   *
   * @throws WorkspaceNotFound
   */
  delete(id: string, by?: Actor): Promise<void>;
}

export interface CreateWorkspaceOptions {
  /** How long events are kept; 0 or undefined: for ever. */
  readonly retentionDays?: number;
  readonly rateLimits?: RateLimits | undefined;
  /** The operator, unless given. */
  readonly by?: Actor;
  /** Those of the caller's key, which bound what it may give. */
  readonly ownLimits?: RateLimits | undefined;
}

export interface UpdateWorkspaceOptions {
  /** The operator, unless given. */
  readonly by?: Actor;
  /** Those of the caller's key, above which it raises none. */
  readonly ownLimits?: RateLimits | undefined;
  readonly assertMayErase?: () => void;
}

/** Returns a row unless the id is taken: a violation would be an error in PostgreSQL's log, caught or not. */
const insertStatement: Statement = {
  name: 'harbor_insert_workspace',
  text: `
    insert into workspaces (id, display_name, retention_days, created_at)
    values ($1, $2, $3, clock_timestamp())
    on conflict (id) do nothing returning id`,
};

export function createWorkspaceChanges({ change }: Pick<Database, 'change'>): WorkspaceChanges {
  /** In the turn of who asks, with the row held; `work` changes it. */
  function changeRow<T>(
    { apiKeyId = 'operator' }: Actor,
    id: string,
    work: (tx: Transaction, row: WorkspaceRow) => Promise<T>,
  ): Promise<T> {
    return change(apiKeyId, async (tx) => {
      const lockMode = LockMode.PESSIMISTIC_WRITE;
      const row = await tx.em.findOne(WorkspaceEntity, { id }, { lockMode });
      if (row === null) throw new WorkspaceNotFound(id);
      return work(tx, row);
    });
  }

  return {
    async create(id, displayName, { retentionDays = 0, by = operator, ...options } = {}) {
      assertRetention(retentionDays);
      const rateLimits = updateRateLimits(undefined, options.rateLimits);
      const exceeds = findAboveOwn(options.ownLimits, rateLimits);
      if (exceeds !== undefined) throw new RateLimitsExceedCaller(exceeds);
      return change(by.apiKeyId ?? 'operator', async (tx) => {
        const values = [id, displayName, retentionDays || null];
        const inserted = await tx.run(insertStatement, values);
        const row = await tx.em.findOne(WorkspaceEntity, { id });
        if (inserted.length === 0 || row === null) {
          // None any more: what was left of a deleted one went this moment.
          throw new WorkspaceAlreadyExists(id, row?.deletedAt !== null);
        }
        Object.assign(row, toRateLimitColumns(rateLimits));
        const changes = { ...describe(row), ...describeRateLimits(rateLimits) };
        await record(tx, { by, action: 'workspace.created', id, changes });
        return toWorkspace(row);
      });
    },

    async update(id, update, { by = operator, ownLimits, assertMayErase } = {}) {
      const { displayName, retentionDays, rateLimits } = update;
      if (retentionDays !== undefined) assertRetention(retentionDays);
      return changeRow(by, id, async (tx, row) => {
        if (row.deletedAt !== null) throw new WorkspaceNotFound(id);
        const before = describe(row);
        if (displayName !== undefined) row.displayName = displayName;
        if (retentionDays !== undefined) row.retentionDays = retentionDays || null;
        if (isShorter(row.retentionDays ?? 0, before.retention_days)) assertMayErase?.();
        const limitChange = rateLimits && limit(row, rateLimits, ownLimits);
        const changes = findDifferences(before, { ...describe(row), ...limitChange });
        if (changes !== undefined)
          await record(tx, { by, action: 'workspace.updated', id, changes });
        return toWorkspace(row);
      });
    },

    delete(id, by = operator) {
      return changeRow(by, id, async (tx, row) => {
        if (row.deletedAt !== null) return;
        row.deletedAt = await readClock(tx);
        // Whoever keeps events of it in memory lets go of them.
        row.revision += 1;
        await record(tx, { by, action: 'workspace.deleted', id, changes: {} });
      });
    },
  };
}

/** What can be changed, for the audit. */
function describe(row: Pick<WorkspaceRow, 'displayName' | 'retentionDays'>) {
  return { display_name: row.displayName, retention_days: row.retentionDays ?? 0 };
}

/** Changes the limits of a workspace; returns what was changed, for the audit. */
function limit(row: WorkspaceRow, update: RateLimits, own: RateLimits | undefined) {
  const { rateLimits: before } = toWorkspace(row);
  const now = updateRateLimits(before, update);
  const exceeds = findRaisedAboveOwn(own, before, now);
  if (exceeds !== undefined) throw new RateLimitsExceedCaller(exceeds);
  Object.assign(row, toRateLimitColumns(now));
  return describeRateLimitChange(before, now);
}

interface WorkspaceChange {
  readonly by: Actor;
  readonly action: Extract<AuditAction, `workspace.${string}`>;
  readonly id: string;
  readonly changes: AuditedChange['changes'];
}

function record(tx: Transaction, { by, id, ...change }: WorkspaceChange): Promise<void> {
  return recordAudit(tx, { ...change, actor: by, targetId: id, workspaceIds: [id] });
}
