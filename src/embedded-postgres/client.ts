import { createRequire } from 'node:module';
import { CLUSTER_USER } from './cluster.ts';

/** `pg` comes without types, and MikroORM brings it without them: this is the part used here. */
export interface PgClient {
  connect(): Promise<void>;
  query(text: string, values?: unknown[]): Promise<{ rowCount: number | null }>;
  end(): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): void;
}

const { Client } = createRequire(import.meta.url)('pg') as {
  Client: new (config: Record<string, unknown>) => PgClient;
};

const CONNECT_TIMEOUT_MS = 5_000;

/** Where the cluster listens, and its superuser's password. */
export interface ClusterAddress {
  readonly port: number;
  readonly password: string;
}

/** Runs `query` on a connection to the cluster's `postgres` database, and closes it. */
export async function withClient<T>(
  address: ClusterAddress,
  query: (client: PgClient) => Promise<T>,
): Promise<T> {
  const client = new Client({
    ...address,
    host: '127.0.0.1',
    database: 'postgres',
    user: CLUSTER_USER,
    ssl: false,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // A connection that breaks must not become an uncaught 'error' event.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await query(client);
  } finally {
    await client.end();
  }
}

/** Makes the database when it is missing. */
export async function makeDatabase(address: ClusterAddress, database: string): Promise<void> {
  await withClient(address, async (client) => {
    const found = await client.query('select 1 from pg_database where datname = $1', [database]);
    if (found.rowCount !== 0) return;
    await client.query(`create database "${database.replaceAll('"', '""')}"`);
  });
}
