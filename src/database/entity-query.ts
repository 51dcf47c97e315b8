import { DriverException } from '@mikro-orm/postgresql';
import { DatabaseContended, DatabaseUnavailable } from '../database-unavailable.ts';
import { isConnectionLost, isSessionUseless, isTransient } from './postgres-errors.ts';

/**
 * Awaits a query by entity, and tells a lost connection and a lost lock as `StatementRunner.run` does; MikroORM's own
 * errors for them would count as faults of ours.
 *
 * @throws DatabaseUnavailable when there is no connection, or it is lost.
 * @throws DatabaseContended
 */
export async function awaitEntities<T>(query: Promise<T>): Promise<T> {
  try {
    return await query;
  } catch (cause) {
    if (!(cause instanceof DriverException)) throw cause;
    if (isTransient(cause)) throw new DatabaseContended(cause);
    if (!isConnectionLost(cause)) throw cause;
    const sent = !isSessionUseless(cause);
    throw new DatabaseUnavailable('the connection to PostgreSQL was lost', { sent, cause });
  }
}
