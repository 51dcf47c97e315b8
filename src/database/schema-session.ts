import { setTimeout as delay } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import type { Database } from './database.ts';

/** The advisory lock of whoever changes the schema: "harbot" in ASCII; "harbor" is that of earlier programs. */
const schemaLock = 0x686172626f74;
const lockPollMs = 200;

/** The one session that changes the schema at this moment, without limits of time but those for locks. */
export interface SchemaSession {
  /** Runs one statement, in a transaction of its own unless `inTransaction` is running. */
  query<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** All of `work`, or nothing. Each lock is waited for as long as `lockTimeoutMs` (SQLSTATE 55P03). */
  inTransaction<T>(lockTimeoutMs: number, work: () => Promise<T>): Promise<T>;
}

/**
 * Waits until nobody else changes the schema, however long that takes, and carries out `work`.
 *
 * Waits in short statements: one that waited in PostgreSQL would hold a snapshot, for whose end CREATE INDEX
 * CONCURRENTLY waits, and so each for the other.
 */
export async function withSchemaLock<T>(
  database: Pick<Database, 'connect'>,
  work: (session: SchemaSession) => Promise<T>,
): Promise<T> {
  return await inSession(database, async (session) => {
    while (!(await tryLock(session))) await delay(lockPollMs);
    return await work(session);
  });
}

/** Carries out `work` unless somebody else changes the schema, and says whether it did. */
export async function tryWithSchemaLock(
  database: Pick<Database, 'connect'>,
  work: (session: SchemaSession) => Promise<void>,
): Promise<boolean> {
  return await inSession(database, async (session) => {
    if (!(await tryLock(session))) return false;
    await work(session);
    return true;
  });
}

/** The lock is one of the session that does the work, so that neither is there without the other. */
async function tryLock(session: SchemaSession): Promise<boolean> {
  const [row] = await session.query<{ is_mine: boolean }>(
    `select pg_try_advisory_lock(${schemaLock}) as is_mine`,
  );
  return row?.is_mine === true;
}

async function inSession<T>(
  database: Pick<Database, 'connect'>,
  work: (session: SchemaSession) => Promise<T>,
): Promise<T> {
  const client = await database.connect();
  // Whatever runs then is told as well; without a listener the process would end.
  client.on('error', () => undefined);
  try {
    const session = sessionOn(client);
    // transaction_timeout is there from PostgreSQL 17 on.
    await session.query(`
      select set_config(name, '0', false) from pg_settings where name in ('statement_timeout',
        'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`);
    return await work(session);
  } finally {
    // The lock ends with it, and so do the settings.
    client.release(true);
  }
}

function sessionOn(client: PoolClient): SchemaSession {
  // As objects: a text that is not answered within seconds would end the session.
  const query = async (text: string, values: readonly unknown[] = []) =>
    (await client.query({ text, values: [...values] })).rows;
  return {
    query,
    async inTransaction(lockTimeoutMs, work) {
      await query('begin');
      try {
        await query(`set local lock_timeout = ${lockTimeoutMs}`);
        const result = await work();
        await query('commit');
        return result;
      } catch (error) {
        await query('rollback').catch(() => undefined);
        throw error;
      }
    },
  };
}
