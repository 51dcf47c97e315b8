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
   * @param timeoutMs for a connection and the answer together; past it the connection is destroyed, since
   * its late answer must not meet the next statement.
   * @throws DatabaseUnavailable when there is no connection, or it is lost, or the time is up.
   * @throws DatabaseContended when PostgreSQL gave it up for another statement.
   * @throws the error of `pg` with its SQLSTATE when PostgreSQL refuses the statement.
   */
  run<Row>(statement: Statement, values: unknown[], timeoutMs: number): Promise<Row[]>;
}

export function createStatementRunner(pool: Pool): StatementRunner {
  async function runOnce<Row>(statement: Statement, values: unknown[], timeoutMs: number) {
    const deadline = createDeadline(timeoutMs);
    try {
      const client = await connect(pool, deadline);
      try {
        deadline.isSent = true;
        const query = client.query({ name: statement.name, text: statement.text, values });
        query.catch(() => undefined);
        const result = await Promise.race([query, deadline.passed]);
        client.release();
        return result.rows as Row[];
      } catch (error) {
        throw release(client, error);
      }
    } finally {
      deadline.clear();
    }
  }

  return {
    async run<Row>(statement: Statement, values: unknown[], timeoutMs: number): Promise<Row[]> {
      const endsAtMs = performance.now() + timeoutMs;
      // After a failover the pool may hold a dozen sessions that are of no use; the first new one decides.
      for (;;) {
        const isKept = pool.idleCount > 0;
        try {
          return await runOnce<Row>(statement, values, endsAtMs - performance.now());
        } catch (error) {
          if (!isKept || !isSessionUseless((error as Error).cause)) throw error;
        }
      }
    },
  };
}

/** The time for a connection and an answer together. */
interface Deadline {
  /** Rejects when it has passed. */
  readonly passed: Promise<never>;
  isSent: boolean;
  clear(): void;
}

function createDeadline(timeoutMs: number): Deadline {
  const { promise: passed, reject } = Promise.withResolvers<never>();
  passed.catch(() => undefined);
  let isOver = false;
  const clear = () => {
    isOver = true;
    clearTimeout(timer);
  };
  const deadline = { passed, isSent: false, clear };
  const pass = () => {
    if (isOver) return;
    const { isSent: sent } = deadline;
    reject(new DatabaseUnavailable('PostgreSQL did not answer in time', { sent }));
  };
  // A process that was busy itself first reads what has come in meanwhile: it may be the answer.
  const timer = setTimeout(() => setImmediate(pass), timeoutMs);
  if (timeoutMs <= 0) pass();
  return deadline;
}

async function connect(pool: Pool, deadline: Deadline): Promise<PoolClient> {
  const connecting = pool.connect();
  try {
    return await Promise.race([connecting, deadline.passed]);
  } catch (cause) {
    connecting.then(
      (client) => client.release(),
      () => undefined,
    );
    if (cause instanceof DatabaseUnavailable) throw cause;
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
