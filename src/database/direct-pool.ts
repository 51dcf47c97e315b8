import pg from 'pg';
import { DatabaseUnavailable } from '../database-unavailable.ts';

/** PostgreSQL cannot be reached past the pooler, though it may be by way of it. */
export class DirectConnectionFailed extends DatabaseUnavailable {
  constructor(cause: unknown) {
    super('PostgreSQL cannot be reached past the pooler', { sent: false, cause });
  }
}

/** Sessions of our own, beside a pooler that keeps none: for LISTEN, and for locks that outlive a transaction. */
export interface DirectPool {
  /** @throws DirectConnectionFailed */
  connect(): Promise<pg.PoolClient>;
  end(): Promise<void>;
}

/** One that listens, one that changes the schema, and one more for the checks of a start. */
const sessionsMax = 3;

/** @param connections what each of them is like. */
export function createDirectPool(
  url: string,
  connections: pg.PoolConfig,
  onNotice: (message: string) => void,
): DirectPool {
  const pool = new pg.Pool({ ...connections, connectionString: url, max: sessionsMax });
  // Without a listener a connection that is lost would end the process: an idle one here, one in use there.
  pool.on('error', ({ message }) => onNotice(`direct PostgreSQL connection: ${message}`));
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    connect: () =>
      pool.connect().catch((cause: unknown) => {
        throw new DirectConnectionFailed(cause);
      }),
    end: () => pool.end(),
  };
}
