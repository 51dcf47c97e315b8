import type { PoolClient } from 'pg';
import type { Database } from './database.ts';

/** Which database this is, for the operator who looks at the log: never a password. */
export interface DatabaseFacts {
  readonly host: string;
  readonly name: string;
  /** Of PostgreSQL, such as 18.4. */
  readonly version: string;
  /** The newest migration that has run; null when none has. */
  readonly schema: string | null;
}

/** Reads what the service finds when it starts, before it migrates. */
export async function readDatabaseFacts(database: Database, url: string): Promise<DatabaseFacts> {
  const { host, searchParams } = new URL(url);
  const client = await database.connect();
  try {
    const { rows } = await client.query<{ name: string; version: string; migrated: boolean }>(
      `select current_database() as name, current_setting('server_version') as version,
         to_regclass('harbor_migrations') is not null as migrated`,
    );
    const [facts] = rows;
    if (facts === undefined) throw new Error('PostgreSQL returned no row');
    const { name, version, migrated } = facts;
    const schema = migrated ? await readNewestMigration(client) : null;
    return { host: host || (searchParams.get('host') ?? 'localhost'), name, version, schema };
  } finally {
    client.release();
  }
}

async function readNewestMigration(client: PoolClient): Promise<string | null> {
  const { rows } = await client.query<{ name: string }>(
    'select name from harbor_migrations order by id desc limit 1',
  );
  return rows[0]?.name ?? null;
}
