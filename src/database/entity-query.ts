import { DriverException } from '@mikro-orm/postgresql';
import { DatabaseUnavailable } from '../database-unavailable.ts';
import { toDatabaseError } from './postgres-errors.ts';
import { entityTimeoutMs } from './session.ts';

/**
 * Awaits a query by entity, and tells a lost connection and a lost lock as `StatementRunner.run` does; MikroORM's own
 * errors for them would count as faults of ours.
 *
 * @throws DatabaseUnavailable when there is no connection, or it is lost, or the time is up: 5 s, with the
 * wait for a connection.
 * @throws DatabaseContended
 */
export async function awaitEntities<T>(query: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new DatabaseUnavailable('PostgreSQL did not answer in time', { sent: true });
    timer = setTimeout(() => reject(error), entityTimeoutMs);
  });
  try {
    return await Promise.race([query, late]);
  } catch (cause) {
    throw cause instanceof DriverException ? toDatabaseError(cause) : cause;
  } finally {
    clearTimeout(timer);
  }
}
