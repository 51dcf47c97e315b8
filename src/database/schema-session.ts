import { setTimeout as delay } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import type { Database } from './database.ts';

/** The advisory lock of whoever changes the schema: "harbot" in ASCII; "harbor" is that of earlier programs. */
const schemaLock = 0x686172626f74;
const lockPollMs = 200;
/** Of a change that takes milliseconds, once it has its locks. */
const shortAnswerMs = 10_000;

/** The one session that changes the schema at this moment, without limits of time but those for locks. */
export interface SchemaSession {
  /** Runs one statement, in a transaction of its own unless `inTransaction` is running. */
  query<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** All of `work`, or nothing. Each lock is waited for as long as `lockTimeoutMs` (SQLSTATE 55P03). */
  inTransaction<T>(lockTimeoutMs: number, work: () => Promise<T>): Promise<T>;
}

/**
 * Waits until nobody else changes the schema, however long that takes, and carries out `work`, which takes as long as it
 * takes.
 *
 * Waits in short statements: one that waited in PostgreSQL would hold a snapshot, for whose end CREATE INDEX
 * CONCURRENTLY waits, and so each for the other.
 *
 * @param onWait told once, when somebody else is at it.
 */
export async function withSchemaLock<T>(
  database: Pick<Database, 'connect'>,
  work: (session: SchemaSession) => Promise<T>,
  onWait: () => void,
): Promise<T> {
  return await inSession(database, undefined, async (session) => {
    if (!(await tryLock(session))) {
      onWait();
      do await delay(lockPollMs);
      while (!(await tryLock(session)));
    }
    return await work(session);
  });
}

/** Carries out `work` unless somebody else changes the schema. Each of its statements is answered soon or fails. */
export async function tryWithSchemaLock(
  database: Pick<Database, 'connect'>,
  work: (session: SchemaSession) => Promise<void>,
): Promise<void> {
  await inSession(database, shortAnswerMs, async (session) => {
    if (await tryLock(session)) await work(session);
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
  answerTimeoutMs: number | undefined,
  work: (session: SchemaSession) => Promise<T>,
): Promise<T> {
  const client = await database.connect();
  // Whatever runs then is told as well; without a listener the process would end.
  client.on('error', () => undefined);
  try {
    const session = sessionOn(client, answerTimeoutMs);
    await session.query(settings);
    return await work(session);
  } finally {
    // The lock ends with it, and so do the settings.
    client.release(true);
  }
}

/**
 * No limits of time (transaction_timeout is there from PostgreSQL 17 on). And PostgreSQL asks now and then whether somebody
 * is still there: a machine that is gone without a word would hold the lock for two hours.
 */
const settings = `
  select set_config(name, value, false) from pg_settings join (values
    ('statement_timeout', '0'), ('lock_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
    ('transaction_timeout', '0'), ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'),
    ('tcp_keepalives_count', '3')
  ) as wanted (name, value) using (name)`;

function sessionOn(client: PoolClient, answerTimeoutMs: number | undefined): SchemaSession {
  // As objects: a text that is not answered within seconds would end the session.
  const query = async (text: string, values: readonly unknown[] = []) => {
    const bounds = answerTimeoutMs === undefined ? {} : { query_timeout: answerTimeoutMs };
    return (await client.query({ text, values: [...values], ...bounds })).rows;
  };
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
