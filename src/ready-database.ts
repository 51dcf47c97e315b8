import type { Config } from './config.ts';
import { type Database, openDatabase } from './database/database.ts';
import { readDatabaseFacts } from './database/database-facts.ts';
import { assertDurable } from './database/durability.ts';
import { migrate } from './database/migrate.ts';
import { assertSessionsKept } from './database/pooler.ts';
import { assertWritable } from './database/writable.ts';
import type { Log } from './log.ts';

/**
 * Opens the database, asks whether it can be relied on, and migrates it.
 *
 * @throws DatabaseUnavailable, DatabaseReadOnly, DurabilityUnsafe, PoolerSharesSessions, or what a migration
 * throws; no connection is left then.
 */
export async function openReadyDatabase(config: Config, url: string, log: Log): Promise<Database> {
  const database = await openDatabase({
    url,
    poolSize: config.databasePoolSize,
    applicationName: 'harbor-events',
    onNotice: (message) => log.info(message),
  });
  try {
    log.info({ database: await readDatabaseFacts(database, url) }, 'using this database');
    await assertSessionsKept(database);
    await assertWritable(database);
    await assertDurable(database, config.allowUnsafeDurability);
    await migrate(database, { onStep: (step) => log.info(step, 'migrating') });
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}
