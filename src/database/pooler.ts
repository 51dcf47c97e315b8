import type { PoolClient } from 'pg';
import type { Database } from './database.ts';

/** Between the service and PostgreSQL sessions are shared by transaction, and ours are not kept. */
export class PoolerSharesSessions extends Error {
  override readonly name = 'PoolerSharesSessions';

  constructor() {
    super(
      'a pooler between here and PostgreSQL gives each transaction another session, but statements stay ' +
        'prepared on theirs, and one listens: set pool_mode = session in PgBouncer for this database, or ' +
        'let DATABASE_URL lead to PostgreSQL itself; with PgBouncer 1.21 or later and its ' +
        'max_prepared_statements, set DATABASE_DIRECT_URL to PostgreSQL itself instead',
    );
  }
}

/** A session that others use as well may come back by chance. */
const roundsMax = 3;
const answerTimeoutMs = 5_000;

/**
 * @throws PoolerSharesSessions where transactions of one connection run in several sessions, or those of
 * two connections in one. Direct connections and poolers that keep a session pass.
 */
export async function assertSessionsKept(database: Pick<Database, 'connect'>): Promise<void> {
  const one = await database.connect();
  try {
    const other = await database.connect();
    try {
      for (let round = 0; round < roundsMax; round++) {
        if (await areShared(one, other)) throw new PoolerSharesSessions();
      }
    } finally {
      // Whatever a pooler makes of them, nobody goes on with them.
      other.release(true);
    }
  } finally {
    one.release(true);
  }
}

/**
 * A pooler of transactions gives a free session to whoever begins next: the one that `one` has just left
 * goes to `other`, and `one` gets a second one while `other` holds it.
 */
async function areShared(one: PoolClient, other: PoolClient): Promise<boolean> {
  const before = await sessionOf(one);
  await other.query(bounded('begin'));
  // In this order: a pooler with a single session would let `one` wait for `other`.
  const areShared = (await sessionOf(other)) === before || (await sessionOf(one)) !== before;
  await other.query(bounded('rollback'));
  return areShared;
}

/** A pooler lets a query wait for a session, for two minutes when nothing is said. */
function bounded(text: string) {
  return { text, query_timeout: answerTimeoutMs };
}

/** By the simple protocol, which every pooler passes on: the process that serves the session. */
async function sessionOf(client: PoolClient): Promise<number> {
  const { rows } = await client.query<{ pid: number }>(bounded('select pg_backend_pid() as pid'));
  return (rows[0] as { pid: number }).pid;
}
