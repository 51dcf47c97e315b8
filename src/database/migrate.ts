import { setTimeout as delay } from 'node:timers/promises';
import type { Transaction } from '@mikro-orm/core';
import type { Database } from './database.ts';
import { sqlStateOf } from './postgres-errors.ts';

/** The advisory lock that whoever migrates holds: "harbor" in ASCII. */
const migrationLock = 0x686172626f72;

/**
 * A change of a table that waits for its lock holds up every statement that comes after it. This is half of
 * what those wait at the most, so that none of them fails; then they go first, and the change tries again.
 */
const tableLockTimeoutMs = 500;
const tableLockTriesMax = 120;
const tableLockRetryMs = 1_000;

/** A newer program has migrated the database to a schema that this one does not know. */
export class SchemaTooNew extends Error {
  override readonly name = 'SchemaTooNew';

  constructor(unknown: readonly string[]) {
    super(
      'a newer version of Harbor Events has migrated this database, and this version does not know ' +
        `${unknown.join(', ')}: run that version, or a later one`,
    );
  }
}

/** A table stayed in use for as long as the migration was ready to wait. Nothing was changed. */
export class SchemaInUse extends Error {
  override readonly name = 'SchemaInUse';

  constructor(cause: unknown) {
    super(
      'a table that a migration changes is locked by somebody else; find who in pg_locks, and start again',
      { cause },
    );
  }
}

/**
 * Brings the schema up to date, all of it or nothing, on the connection that holds the lock. Of several
 * processes that do so at once, one does and the others wait. A migration may take as long as it takes.
 *
 * @returns the names of the migrations that ran now.
 * @throws SchemaTooNew, SchemaInUse
 */
export async function migrate({ orm }: Pick<Database, 'orm'>): Promise<string[]> {
  const connection = orm.em.getConnection();
  for (let attempt = 1; ; attempt++) {
    try {
      return await connection.transactional((transaction) => migrateIn(transaction, orm));
    } catch (error) {
      // Only a table's lock has a time limit.
      if (sqlStateOf(error) !== '55P03') throw error;
      if (attempt === tableLockTriesMax) throw new SchemaInUse(error);
      await delay(tableLockRetryMs);
    }
  }
}

async function migrateIn(transaction: Transaction, orm: Database['orm']): Promise<string[]> {
  const run = (sql: string) => orm.em.getConnection().execute(sql, [], 'all', transaction);
  // transaction_timeout is there from PostgreSQL 17 on.
  await run(`
    select set_config(name, '0', true) from pg_settings where name in ('statement_timeout',
      'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`);
  // Ends with the transaction, also when the process is killed, and behind a pooler of transactions.
  await run(`select pg_advisory_xact_lock(${migrationLock})`);
  await run(`set local lock_timeout = ${tableLockTimeoutMs}`);
  await assertSchemaKnown(orm);
  const ran = await orm.migrator.up({ transaction });
  return ran.map(({ name }) => name);
}

/** Judges by names: a program that lacks one cannot know whether it works with what that one has made. */
async function assertSchemaKnown({ migrator, config }: Database['orm']): Promise<void> {
  const known = new Set(
    (config.get('migrations').migrationsList ?? []).map((migration) => migration.name),
  );
  const unknown = (await migrator.getExecuted()).filter(({ name }) => !known.has(name));
  if (unknown.length > 0) throw new SchemaTooNew(unknown.map(({ name }) => name));
}
