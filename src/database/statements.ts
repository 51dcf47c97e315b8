import type { Pool, PoolClient } from 'pg';
import { DatabaseContended, DatabaseUnavailable } from '../database-unavailable.ts';
import { isConnectionLost, isSessionUseless, isTransient } from './postgres-errors.ts';

/** A statement of the hot path: prepared once a connection under its name. */
export interface Statement {
  /** Unique in the process, at most 63 characters. */
  readonly name: string;
  readonly text: string;
}

/** Runs the statements of the hot path with real parameters on MikroORM's own pool. */
export interface StatementRunner {
  /**
   * Runs one statement in its own transaction; when it returns, the commit is on disk.
   *
   * @param timeoutMs past it the connection is destroyed, since its late answer must not meet the
   * next statement.
   * @throws DatabaseUnavailable when there is no connection, or it is lost, or the time is up.
   * @throws DatabaseContended when PostgreSQL gave it up for another statement.
   * @throws the error of `pg` with its SQLSTATE when PostgreSQL refuses the statement.
   */
  run<Row>(statement: Statement, values: unknown[], timeoutMs: number): Promise<Row[]>;
}

export function createStatementRunner(pool: Pool): StatementRunner {
  return {
    async run<Row>(statement: Statement, values: unknown[], timeoutMs: number): Promise<Row[]> {
      // After a failover the pool may hold a dozen sessions that are of no use; the first new one decides.
      const isKept = pool.idleCount > 0;
      const client = await connect(pool);
      let timer: NodeJS.Timeout | undefined;
      try {
        const late = new Promise<never>((_, reject) => {
          timer = setTimeout(
            () =>
              reject(new DatabaseUnavailable('PostgreSQL did not answer in time', { sent: true })),
            timeoutMs,
          );
        });
        const query = client.query({ name: statement.name, text: statement.text, values });
        query.catch(() => undefined);
        const result = await Promise.race([query, late]);
        client.release();
        return result.rows;
      } catch (error) {
        const told = release(client, error);
        if (!isKept || !isSessionUseless(error)) throw told;
      } finally {
        clearTimeout(timer);
      }
      return this.run(statement, values, timeoutMs);
    },
  };
}

async function connect(pool: Pool): Promise<PoolClient> {
  try {
    return await pool.connect();
  } catch (cause) {
    throw new DatabaseUnavailable('PostgreSQL cannot be reached', { sent: false, cause });
  }
}

/** Gives a client back, or destroys it when its session cannot be trusted any more. */
function release(client: PoolClient, error: unknown): unknown {
  if (!isConnectionLost(error)) {
    client.release();
    return isTransient(error) ? new DatabaseContended(error) : error;
  }
  client.release(true);
  if (error instanceof DatabaseUnavailable) return error;
  return new DatabaseUnavailable('the connection to PostgreSQL was lost', {
    sent: !isSessionUseless(error),
    cause: error,
  });
}
