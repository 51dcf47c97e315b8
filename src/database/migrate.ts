import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from './database.ts';
import { migrations as ownMigrations } from './migrations/index.ts';
import type { IndexStep, Migration, MigrationOptions, Step } from './migrations/migration.ts';
import type { PartitionPeriod } from './partitions/period.ts';
import { isTransient } from './postgres-errors.ts';
import {
  assertSchemaWorks,
  createSchemaRecord,
  type RecordedStep,
  readSchemaRecord,
  recordStep,
} from './schema-record.ts';
import { type SchemaSession, withSchemaLock } from './schema-session.ts';

/**
 * A change of a table that waits for its lock holds up every statement that comes after it. This is half of
 * what those wait at the most, so that none of them fails; then they go first, and the change tries again.
 */
const tableLockTimeoutMs = 500;
const tableLockTriesMax = 120;
const tableLockRetryMs = 1_000;
/** An index that is built concurrently waits for the transactions before it, and nobody for the index. */
const indexLockTimeoutMs = 3_600_000;

/** A table stayed in use for as long as the migration was ready to wait. The steps before are done. */
export class SchemaInUse extends Error {
  override readonly name = 'SchemaInUse';

  constructor(cause: unknown) {
    super(
      'a table that a migration changes is locked by somebody else; find who in pg_locks, and start again',
      { cause },
    );
  }
}

export interface MigrateOptions {
  /** Quarters unless said otherwise. */
  readonly eventPartitions?: PartitionPeriod | undefined;
  /** In place of the service's own: a later version's, for tests of upgrades. */
  readonly migrations?: readonly Migration[];
  /** Told of each step, which begins when it returns; one that builds an index of a large table takes its time. */
  readonly onStep?: (step: { readonly migration: string; readonly step: string }) => unknown;
  /** Told when it waits for another process that migrates. */
  readonly onWait?: () => void;
}

/**
 * Brings the schema up to date, step by step, while other processes use the database. Each step is done whole
 * or not at all; where it ended, the next call goes on. Of several processes that do so at once, one does and
 * the others wait; where nothing is to be done, nobody waits.
 *
 * @returns the names of the migrations that ran now, or of which a part did.
 * @throws SchemaTooNew, SchemaInUse
 */
export async function migrate(
  database: Pick<Database, 'connect'>,
  given: MigrateOptions = {},
): Promise<string[]> {
  const { migrations = ownMigrations, onStep, onWait = () => undefined } = given;
  const { eventPartitions = 'quarter' } = given;
  if ((await findPending(database, migrations)).length === 0) return [];
  const migrateNow = async (session: SchemaSession) => {
    await createSchemaRecord(session.query);
    const pending = listPending(await readSchemaRecord(session.query), migrations);
    for (const next of pending) {
      await onStep?.({ migration: next.migration.name, step: next.step.name });
      await takeStep(session, next, { eventPartitions });
    }
    return [...new Set(pending.map(({ migration }) => migration.name))];
  };
  return await withSchemaLock(database, migrateNow, onWait);
}

interface Pending {
  readonly migration: Migration;
  readonly step: Step;
}

async function findPending(
  database: Pick<Database, 'connect'>,
  migrations: readonly Migration[],
): Promise<Pending[]> {
  const client = await database.connect();
  try {
    const query = async (text: string) => (await client.query(text)).rows;
    return listPending(await readSchemaRecord(query), migrations);
  } finally {
    client.release();
  }
}

/** @throws SchemaTooNew */
function listPending(
  recorded: readonly RecordedStep[],
  migrations: readonly Migration[],
): Pending[] {
  assertSchemaWorks(recorded, migrations);
  const done = new Set(
    recorded.filter(({ isDone }) => isDone).map(({ migration, step }) => `${migration} ${step}`),
  );
  return migrations.flatMap((migration) =>
    migration.steps
      .filter((step) => !done.has(`${migration.name} ${step.name}`))
      .map((step) => ({ migration, step })),
  );
}

/** @throws SchemaInUse */
async function takeStep(
  session: SchemaSession,
  { migration, step }: Pending,
  options: MigrationOptions,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      if ('index' in step) {
        await recordStep(session.query, migration, { step: step.name, isDone: false });
        await buildIndex(session, step);
        await recordStep(session.query, migration, { step: step.name, isDone: true });
        return;
      }
      return await session.inTransaction(tableLockTimeoutMs, async () => {
        await step.run(session, options);
        await recordStep(session.query, migration, { step: step.name, isDone: true });
      });
    } catch (error) {
      // Only a lock has a time limit.
      if (!isTransient(error)) throw error;
      if (attempt === tableLockTriesMax) throw new SchemaInUse(error);
      await delay(tableLockRetryMs);
    }
  }
}

/** One that was interrupted has left an index that is not valid, and is begun afresh. */
async function buildIndex(
  { query }: SchemaSession,
  { index, definition }: IndexStep,
): Promise<void> {
  const [found] = await query<{ is_valid: boolean }>(
    'select indisvalid as is_valid from pg_index where indexrelid = to_regclass($1)',
    [index],
  );
  if (found?.is_valid) return;
  await query(`set lock_timeout = ${indexLockTimeoutMs}`);
  if (found !== undefined) await query(`drop index concurrently ${index}`);
  await query(`create index concurrently ${index} ${definition}`);
}
