import { LRUCache } from 'lru-cache';
import type { Database } from '../database/database.ts';
import { awaitEntities } from '../database/entity-query.ts';
import type { Statement } from '../database/statements.ts';
import type { Transaction } from '../database/transaction.ts';
import { createGatheredReads } from '../gathered-reads.ts';
import { WorkspaceEntity } from './workspace.entity.ts';
import { type Workspace, WorkspaceAlreadyExists, WorkspaceNotFound } from './workspace.ts';

/** All of the SQL of workspaces but the counter, which the append moves. All throw DatabaseUnavailable. */
export interface WorkspaceStore {
  /** @throws WorkspaceAlreadyExists */
  create(id: string, displayName: string): Promise<Workspace>;
  find(id: string): Promise<Workspace | undefined>;
  /** Workspaces by id in byte order, after `afterId`; of `onlyIds` where given. */
  list(options: {
    afterId: string;
    limit: number;
    onlyIds: ReadonlySet<string> | undefined;
  }): Promise<Workspace[]>;
  /**
   * Passes when the workspace exists. A workspace that was seen is not looked up again: there is no way
   * to delete one, and the append would fail for it.
   *
   * @throws WorkspaceNotFound
   */
  assertExists(id: string): Promise<void>;
  /** Passes when all of the workspaces exist at this moment. @throws WorkspaceNotFound */
  assertAllExist(tx: Transaction, ids: readonly string[]): Promise<void>;
}

/** Returns a row unless the id is taken: a violation would be an error in PostgreSQL's log, caught or not. */
const insertStatement: Statement = {
  name: 'harbor_insert_workspace',
  text: `
    insert into workspaces (id, display_name, created_at) values ($1, $2, $3)
    on conflict (id) do nothing returning id`,
};
const writeTimeoutMs = 12_000;

const findStatement: Statement = {
  name: 'harbor_find_workspaces',
  text: 'select id from workspaces where id = any($1::text[])',
};
/** With the wait behind the look-ups before it, 5 s; that a workspace is missing is asked twice. */
const findTimeoutMs = 1_500;

export function createWorkspaceStore({
  orm,
  statements,
}: Pick<Database, 'orm' | 'statements'>): WorkspaceStore {
  const seen = new LRUCache<string, true>({ max: 100_000 });
  /** Callers that ask at once share a look-up, and go on in the order in which they asked. */
  const lookUps = createGatheredReads({
    async read(ids) {
      const rows = await statements.run<{ id: string }>(findStatement, [ids], findTimeoutMs);
      for (const { id } of rows) seen.set(id, true);
      return new Map(rows.map(({ id }) => [id, true]));
    },
    // As many as the calls in flight have events.
    waitingMax: Number.POSITIVE_INFINITY,
    full: () => new Error('there is always room'),
  });

  async function find(id: string): Promise<Workspace | undefined> {
    const row = await awaitEntities(orm.em.fork().findOne(WorkspaceEntity, { id }));
    return row === null ? undefined : toWorkspace(row);
  }

  async function assertFound(id: string): Promise<void> {
    // The first answer may be one that was on its way already, and older than the workspace.
    if ((await lookUps.find(id)) || (await lookUps.find(id))) return;
    throw new WorkspaceNotFound(id);
  }

  return {
    async create(id, displayName) {
      const workspace = { id, displayName, lastSequence: 0, createdAt: new Date() };
      const values = [id, displayName, workspace.createdAt];
      const inserted = await statements.run(insertStatement, values, writeTimeoutMs);
      if (inserted.length === 0) throw new WorkspaceAlreadyExists(id);
      return workspace;
    },

    find,

    async list({ afterId, limit, onlyIds }) {
      const id = onlyIds === undefined ? { $gt: afterId } : { $gt: afterId, $in: [...onlyIds] };
      const rows = await awaitEntities(
        orm.em.fork().find(WorkspaceEntity, { id }, { orderBy: { id: 'asc' }, limit }),
      );
      return rows.map(toWorkspace);
    },

    assertExists(id) {
      return seen.has(id) ? Promise.resolve() : assertFound(id);
    },

    async assertAllExist({ em }, ids) {
      const found = await em.find(WorkspaceEntity, { id: { $in: [...ids] } }, { fields: ['id'] });
      const missing = ids.find((id) => !found.some((workspace) => workspace.id === id));
      if (missing !== undefined) throw new WorkspaceNotFound(missing);
    },
  };
}

function toWorkspace(row: Workspace): Workspace {
  const { id, displayName, lastSequence, createdAt } = row;
  return { id, displayName, lastSequence, createdAt };
}
