import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** A migrated, empty database of a test's own. */
export interface TestDatabase {
  readonly url: string;
  readonly name: string;
  /** Runs one statement on a connection of its own, as an operator would with psql. */
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  /** An open connection, for tests that hold locks or transactions. */
  connect(): Promise<pg.Client>;
  drop(): Promise<void>;
}

export async function createTestDatabase(
  serverUrl: string = inject('postgresUrl'),
): Promise<TestDatabase> {
  const name = `harbor_test_${randomBytes(6).toString('hex')}`;
  await run(serverUrl, `create database ${name} template harbor_template`);
  const location = new URL(serverUrl);
  location.pathname = `/${name}`;
  const url = location.href;
  return {
    url,
    name,
    query: (text, values) => run(url, text, values),
    async connect() {
      const client = new pg.Client(url);
      client.on('error', () => undefined);
      await client.connect();
      return client;
    },
    drop: async () => void (await run(serverUrl, `drop database if exists ${name} with (force)`)),
  };
}

async function run<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values?: unknown[],
): Promise<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<Row>(text, values);
    return rows;
  } finally {
    await client.end();
  }
}
