import type { Database } from './database.ts';
import { readSchemaRecord } from './schema-record.ts';

/** Which database this is, for the operator who looks at the log: never a password. */
export interface DatabaseFacts {
  readonly host: string;
  readonly name: string;
  /** Of PostgreSQL, such as 18.4. */
  readonly version: string;
  /** The newest migration that has run, or has begun to; null when none has. */
  readonly schema: string | null;
}

/** Reads what the service finds when it starts, before it migrates. */
export async function readDatabaseFacts(database: Database, url: string): Promise<DatabaseFacts> {
  const { host, searchParams } = new URL(url);
  const client = await database.connect();
  try {
    const { rows } = await client.query<{ name: string; version: string }>(
      `select current_database() as name, current_setting('server_version') as version`,
    );
    const [facts] = rows;
    if (facts === undefined) throw new Error('PostgreSQL returned no row');
    const recorded = await readSchemaRecord(async (text) => (await client.query(text)).rows);
    const schema = recorded.at(-1)?.migration ?? null;
    return { ...facts, host: host || (searchParams.get('host') ?? 'localhost'), schema };
  } finally {
    client.release();
  }
}
