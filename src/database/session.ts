import pg from 'pg';
import { isSessionUseless } from './postgres-errors.ts';

/**
 * A connection of the pool that ends itself once it has met an error which it would meet for ever: a pool
 * gives no client out again that has ended. Statements destroy theirs by themselves; of a query by entity
 * nobody holds the connection.
 */
export class Session extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: pg declares eight overloads, and all of them pass through
  override query(...args: any[]): any {
    const result: unknown = Reflect.apply(super.query, this, args);
    if (result instanceof Promise) {
      result.catch((error: unknown) => {
        if (isSessionUseless(error)) void this.end();
      });
    }
    return result;
  }
}
