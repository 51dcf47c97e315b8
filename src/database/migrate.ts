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
    await client.query('set lock_timeout = 0');
    await client.query('set statement_timeout = 0');
    await client.query('select pg_advisory_lock($1)', [migrationLock]);
    const ran = await database.orm.migrator.up();
    return ran.map(({ name }) => name);
  } finally {
    // The session ends, and with it the lock and its settings.
    client.release(true);
  }
}
