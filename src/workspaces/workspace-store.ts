import type { Database } from '../database/database.ts';
import { awaitEntities } from '../database/entity-query.ts';
import type { Statement } from '../database/statements.ts';
import type { Transaction } from '../database/transaction.ts';
import {
  fromSelectedRateLimits,
  type SelectedRateLimits,
  selectedRateLimits,
} from '../rate-limits/index.ts';
import { createKnownWorkspaces, type KnownWorkspaces } from './known-workspaces.ts';
import { toWorkspace, WorkspaceEntity } from './workspace.entity.ts';
import { type Workspace, WorkspaceNotFound } from './workspace.ts';
import { createWorkspaceChanges, type WorkspaceChanges } from './workspace-changes-store.ts';

/**
 * All of the SQL of workspaces but the counter, which the append moves, and the floor, which retention moves. One
 * that was deleted is not there. All throw DatabaseUnavailable.
 */
export interface WorkspaceStore extends KnownWorkspaces, WorkspaceChanges {
  find(id: string): Promise<Workspace | undefined>;
  /** Workspaces by id in byte order, after `afterId`; of `onlyIds` where given. */
  list(options: {
    afterId: string;
    limit: number;
    onlyIds: ReadonlySet<string> | undefined;
  }): Promise<Workspace[]>;
  /** Passes when all of the workspaces exist at this moment. @throws WorkspaceNotFound */
  assertAllExist(tx: Transaction, ids: readonly string[]): Promise<void>;
}

const findStatement: Statement = {
  name: 'harbor_find_workspaces',
  text: `
    select id, ${selectedRateLimits} from workspaces
    where id = any($1::text[]) and deleted_at is null`,
};

type FoundRow = { readonly id: string } & SelectedRateLimits;

/** With the wait behind the look-ups before it, 5 s; that a workspace is missing is asked twice. */
const findTimeoutMs = 1_500;

export function createWorkspaceStore(
  database: Pick<Database, 'orm' | 'statements' | 'change'>,
): WorkspaceStore {
  const { orm, statements } = database;
  return {
    ...createWorkspaceChanges(database),
    ...createKnownWorkspaces(async (ids) => {
      const rows = await statements.run<FoundRow>(findStatement, [ids], findTimeoutMs);
      return new Map(rows.map((row) => [row.id, { rateLimits: fromSelectedRateLimits(row) }]));
    }),

    async find(id) {
      const where = { id, deletedAt: null };
      const row = await awaitEntities(orm.em.fork().findOne(WorkspaceEntity, where));
      return row === null ? undefined : toWorkspace(row);
    },

    async list({ afterId, limit, onlyIds }) {
      const id = onlyIds === undefined ? { $gt: afterId } : { $gt: afterId, $in: [...onlyIds] };
      const where = { id, deletedAt: null };
      const rows = await awaitEntities(
        orm.em.fork().find(WorkspaceEntity, where, { orderBy: { id: 'asc' }, limit }),
      );
      return rows.map(toWorkspace);
    },

    async assertAllExist({ em }, ids) {
      const where = { id: { $in: [...ids] }, deletedAt: null };
      const found = await em.find(WorkspaceEntity, where, { fields: ['id'] });
      const missing = ids.find((id) => !found.some((workspace) => workspace.id === id));
      if (missing !== undefined) throw new WorkspaceNotFound(missing);
    },
  };
}
