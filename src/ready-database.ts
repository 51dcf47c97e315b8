import type { Config } from './config.ts';
import { type Database, openDatabase } from './database/database.ts';
import { readDatabaseFacts } from './database/database-facts.ts';
import { assertDurable } from './database/durability.ts';
import { migrate } from './database/migrate.ts';
import { createEventPartitions } from './database/partitions/event-partitions.ts';
import { assertLocksSuffice } from './database/partitions/lock-room.ts';
import { assertSessionsKept } from './database/pooler.ts';
import { assertPoolerFits } from './database/transaction-pooler.ts';
import { assertWritable } from './database/writable.ts';
import type { Log } from './log.ts';
import type { Observer } from './observer.ts';

/**
 * Opens the database, asks whether it can be relied on, and migrates it.
 *
 * @throws DatabaseUnavailable, DatabaseReadOnly, DurabilityUnsafe, PoolerSharesSessions, PoolerUnfit, LockTableTooSmall, or
 * what a migration throws; no connection is left then.
 */
export async function openReadyDatabase(
  config: Config,
  url: string,
  { log, observer }: { readonly log: Log; readonly observer: Observer },
): Promise<Database> {
  const database = await openDatabase({
    url,
    directUrl: config.databaseDirectUrl,
    poolSize: config.databasePoolSize,
    applicationName: 'harbor-events',
    onNotice: (message) => log.info(message),
    observer,
  });
  try {
    const facts = await readDatabaseFacts(database, config.databaseDirectUrl ?? url);
    log.info({ database: facts }, 'using this database');
    await assertSessionsKept(database);
    await assertWritable(database);
    await assertPoolerFits(database);
    await assertDurable(database, config.allowUnsafeDurability);
    await migrate(database, {
      eventPartitions: config.eventPartitions,
      onStep: (step) => log.info(step, 'migrating'),
      onWait: () => log.info('another process migrates the database; waiting for it'),
    });
    await assertLocksSuffice(database, config.databasePoolSize);
    await comparePeriod(config, database, log);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function comparePeriod(config: Config, database: Database, log: Log): Promise<void> {
  const wanted = config.eventPartitions;
  const chosen = await createEventPartitions(database).period();
  if (wanted === undefined || wanted === chosen) return;
  log.warn(
    { EVENT_PARTITIONS: wanted, chosen },
    'EVENT_PARTITIONS has no effect: what the partitions of this database hold was chosen before',
  );
}
