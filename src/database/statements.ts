import type { Pool, QueryConfig } from 'pg';
import { connect, createDeadline, onUsefulSession } from './connection.ts';
import type { DatabaseClock } from './database-clock.ts';
import { isConnectionLost, toDatabaseError } from './postgres-errors.ts';

/** A statement of the hot path: prepared once a connection under its name. */
export interface Statement {
  /** Unique in the process, at most 63 characters. */
  readonly name: string;
  readonly text: string;
  /** Rows are arrays of PostgreSQL's texts, in the order of the columns: what is read by the page costs a third less so. */
  readonly rows?: 'texts';
}

/** Runs the statements of the hot path with real parameters on MikroORM's own pool. */
export interface StatementRunner {
  readonly clock: Pick<DatabaseClock, 'nowMs'>;
  /**
   * Runs one statement in its own transaction; when it returns, the commit is on disk.
   *
   * @param timeoutMs for a connection and the answer together; past it the connection is destroyed, since
   * its late answer must not meet the next statement.
   * @throws DatabaseUnavailable when there is no connection, or it is lost, or the time is up.
   * @throws DatabaseContended when PostgreSQL gave it up for another statement.
   * @throws the error of `pg` with its SQLSTATE when PostgreSQL refuses the statement.
   */
  run<Row>(statement: Statement, values: unknown[], timeoutMs: number): Promise<Row[]>;
}

export function createStatementRunner(
  pool: Pool,
  clock: StatementRunner['clock'],
): StatementRunner {
  async function runOnce<Row>(statement: Statement, values: unknown[], timeoutMs: number) {
    const deadline = createDeadline(timeoutMs);
    try {
      const client = await connect(pool, deadline);
      try {
        deadline.isSent = true;
        const query = client.query(toQuery(statement, values));
        query.catch(() => undefined);
        const result = await Promise.race([query, deadline.passed]);
        client.release();
        return result.rows as Row[];
      } catch (error) {
        client.release(isConnectionLost(error));
        throw toDatabaseError(error);
      }
    } finally {
      deadline.clear();
    }
  }

  return {
    clock,
    run: (statement, values, timeoutMs) =>
      onUsefulSession(pool, timeoutMs, (leftMs) => runOnce(statement, values, leftMs)),
  };
}

const asItIs = (text: string) => text;
const untouched = { rowMode: 'array', types: { getTypeParser: () => asItIs } };

/** As `pg` takes it. */
export function toQuery({ name, text, rows }: Statement, values: unknown[]): QueryConfig {
  return rows === 'texts' ? { name, text, values, ...untouched } : { name, text, values };
}
