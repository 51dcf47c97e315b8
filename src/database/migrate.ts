import type { Database } from './database.ts';

/** The advisory lock that whoever migrates holds: "harbor" in ASCII. */
const migrationLock = 0x686172626f72;

/**
 * Brings the schema up to date. Of several processes that do so at once, one does and the others wait.
 *
 * @returns the names of the migrations that ran now.
 */
export async function migrate(database: Database): Promise<string[]> {
  const client = await database.connect();
  try {
    // A transaction, so that lock and settings end with it also behind a pooler of transactions.
    await client.query('begin');
    await client.query('set local lock_timeout = 0');
    await client.query('set local statement_timeout = 0');
    await client.query('set local idle_in_transaction_session_timeout = 0');
    await client.query('select pg_advisory_xact_lock($1)', [migrationLock]);
    const ran = await database.orm.migrator.up();
    await client.query('commit');
    client.release();
    return ran.map(({ name }) => name);
  } catch (error) {
    client.release(true);
    throw error;
  }
}
