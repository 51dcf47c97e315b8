import type { Database } from './database.ts';

/** The server takes reads alone, for now or for ever. */
export class DatabaseReadOnly extends Error {
  override readonly name = 'DatabaseReadOnly';
}

/** @throws DatabaseReadOnly that says why and what to do: on such a server no process can start. */
export async function assertWritable(database: Pick<Database, 'connect'>): Promise<void> {
  const client = await database.connect();
  try {
    const { rows } = await client.query<{ is_standby: boolean; is_read_only: boolean }>(`
      select pg_is_in_recovery() as is_standby,
        current_setting('transaction_read_only')::boolean as is_read_only`);
    if (rows[0]?.is_standby) {
      throw new DatabaseReadOnly(
        'PostgreSQL is a standby, which takes no writes: let DATABASE_URL lead to the primary',
      );
    }
    if (rows[0]?.is_read_only) {
      throw new DatabaseReadOnly(
        'PostgreSQL takes no writes here (default_transaction_read_only=on): turn it off for the role ' +
          'and database of DATABASE_URL, or let it lead to the primary',
      );
    }
  } finally {
    client.release();
  }
}
