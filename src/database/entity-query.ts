import { DriverException } from '@mikro-orm/postgresql';
import { DatabaseUnavailable } from '../database-unavailable.ts';
import { isConnectionLost } from './postgres-errors.ts';

/**
 * Awaits a query by entity, and tells a lost connection as `StatementRunner.run` does; MikroORM's own
 * error for it would count as a fault of ours.
 *
 * @throws DatabaseUnavailable when there is no connection, or it is lost.
 */
export async function awaitEntities<T>(query: Promise<T>): Promise<T> {
  try {
    return await query;
  } catch (cause) {
    if (!(cause instanceof DriverException) || !isConnectionLost(cause)) throw cause;
    throw new DatabaseUnavailable('the connection to PostgreSQL was lost', { sent: true, cause });
  }
}
