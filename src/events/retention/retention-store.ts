import { int8Array, textArray } from '../../database/binary-arrays.ts';
import type { Database } from '../../database/database.ts';
import { boundAt } from '../../database/partitions/period.ts';
import type { Statement } from '../../database/statements.ts';
import type { Transaction } from '../../database/transaction.ts';
import { DatabaseContended } from '../../database-unavailable.ts';
import {
  beginDeletingStatement,
  deleteKeysStatement,
  deletePastStatement,
  deleteWorkspaceStatement,
  isKeptStatement,
  listRetainedStatement,
  moveFloorStatement,
  moveFloorsStatement,
  termsStatement,
  walkIndexesStatement,
} from './retention-statements.ts';

/** A workspace with events that nobody reads any more, or that may have some. */
export interface RetainedWorkspace {
  readonly id: string;
  /** Events below it are past; of one that was deleted, all are. */
  readonly firstSequence: number;
  readonly isDeleted: boolean;
}

/** What says when events are past. */
export interface Terms {
  /** The longest retention of all, in days; undefined: some workspace keeps its events for ever. */
  readonly longestDays: number | undefined;
  /** By the database's clock. */
  readonly now: Date;
}

/** Deletes what nobody reads any more, a little at a time: no append waits for it. All throw DatabaseUnavailable. */
export interface RetentionStore {
  /**
   * Moves the floors of some workspaces after `afterId` to where their retention and the database's clock have them;
   * one whose row somebody holds for long keeps its own until the next round.
   *
   * @returns how far it has come, by id; undefined when there are no more.
   */
  moveFloors(afterId: string): Promise<string | undefined>;
  /** Up to `limit` workspaces after `afterId`, by id. */
  listRetained(afterId: string, limit: number): Promise<RetainedWorkspace[]>;
  readTerms(): Promise<Terms>;
  /**
   * Deletes up to `limit` past events of some workspaces, of those with an id of the time `from` or later.
   *
   * @returns how many; `busy` while another process deletes, `held` when somebody holds one of them.
   */
  deletePast(
    workspaces: readonly RetainedWorkspace[],
    from: Date | undefined,
    limit: number,
  ): Promise<number | 'busy' | 'held'>;
  /** Whether an event with an id of the time from `from` on and before `until` is kept. Both undefined: any. */
  isKept(from: Date | undefined, until: Date): Promise<boolean>;
  /** Deletes idempotency keys of a workspace that was deleted, up to `limit` of them, and returns how many. */
  deleteKeys(workspaceId: string, limit: number): Promise<number>;
  /**
   * Forgets a workspace that was deleted, if nothing is left of it, a minute after that: until then a process may still
   * follow its log, and a change that had begun before may end.
   */
  forgetWorkspace(workspaceId: string): Promise<boolean>;
}

/** "retain" in ASCII. */
const deletingLock = 0x72657461696e;
/** Workspaces a statement: some 15 ms of work, where none of them is to be moved. */
const floorsAtOnce = 500;
const timeoutMs = 10_000;
/** Above every sequence. */
const everySequence = Number.MAX_SAFE_INTEGER;
const lowestUuid = '00000000-0000-0000-0000-000000000000';

export function createRetentionStore(
  database: Pick<Database, 'statements' | 'inTransaction'>,
): RetentionStore {
  const { statements, inTransaction } = database;
  const run = <Row>(statement: Statement, values: unknown[]) =>
    statements.run<Row>(statement, values, timeoutMs);
  const inWalk = <T>(work: (tx: Transaction) => Promise<T>) =>
    inTransaction(async (tx) => {
      await tx.run(walkIndexesStatement, []);
      return work(tx);
    }, timeoutMs);

  return {
    async moveFloors(afterId) {
      const values = [afterId, floorsAtOnce];
      const [row] = await inWalk((tx) => tx.run<FloorsRow>(moveFloorsStatement, values));
      const { last_id: lastId, left_out: leftOut } = row as FloorsRow;
      for (const id of leftOut) {
        await inWalk((tx) => tx.run(moveFloorStatement, [id])).catch(unlessHeld([]));
      }
      return lastId ?? undefined;
    },

    async listRetained(afterId, limit) {
      const rows = await run<RetainedRow>(listRetainedStatement, [afterId, limit]);
      return rows.map(({ id, first_sequence: firstSequence, is_deleted: isDeleted }) => ({
        id,
        firstSequence,
        isDeleted,
      }));
    },

    async readTerms() {
      const [row] = await run<TermsRow>(termsStatement, []);
      const { days, now_ms: nowMs } = row as TermsRow;
      return { longestDays: days ?? undefined, now: new Date(nowMs) };
    },

    deletePast(workspaces, from, limit) {
      const floors = workspaces.map((one) => (one.isDeleted ? everySequence : one.firstSequence));
      const ids = textArray(workspaces.map(({ id }) => id));
      return inWalk(async (tx) => {
        if (!(await beginDeleting(tx))) return 'busy';
        const values = [ids, int8Array(floors), from ? boundAt(from) : lowestUuid, limit];
        return countIn(await tx.run<CountRow>(deletePastStatement, values));
      }).catch(unlessHeld('held'));
    },

    isKept(from, until) {
      const values = [from ? boundAt(from) : lowestUuid, boundAt(until)];
      return inWalk(async (tx) => {
        const [row] = await tx.run<{ is_kept: boolean }>(isKeptStatement, values);
        return row?.is_kept !== false;
      });
    },

    deleteKeys: (workspaceId, limit) =>
      inWalk(async (tx) =>
        countIn(await tx.run<CountRow>(deleteKeysStatement, [workspaceId, limit])),
      ),

    forgetWorkspace: (workspaceId) =>
      inWalk(async (tx) => (await tx.run(deleteWorkspaceStatement, [workspaceId])).length > 0),
  };
}

function countIn(rows: readonly CountRow[]): number {
  return rows[0]?.count ?? 0;
}

/** Whoever holds a row for long keeps nobody else's events there. */
function unlessHeld<T>(otherwise: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof DatabaseContended) return otherwise;
    throw error;
  };
}

async function beginDeleting(tx: Transaction): Promise<boolean> {
  const [row] = await tx.run<{ is_mine: boolean }>(beginDeletingStatement, [deletingLock]);
  return row?.is_mine === true;
}

interface CountRow {
  readonly count: number;
}

interface FloorsRow {
  readonly last_id: string | null;
  readonly left_out: readonly string[];
}

interface TermsRow {
  readonly days: number | null;
  readonly now_ms: number;
}

interface RetainedRow {
  readonly id: string;
  readonly first_sequence: number;
  readonly is_deleted: boolean;
}
