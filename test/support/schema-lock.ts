import type { TestDatabase } from './test-database.ts';

/** The advisory lock of whoever changes the schema. */
export const schemaLock = 0x686172626f74;

/** Ends the session that holds the lock, as the end of its process would; whether there was one. */
export async function killSchemaHolder(database: TestDatabase): Promise<boolean> {
  const killed = await database.query(`
    select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
      and objid = ${schemaLock % 2 ** 32}::oid
      and database = (select oid from pg_database where datname = current_database())`);
  return killed.length > 0;
}
