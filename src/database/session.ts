import pg from 'pg';
import type { Observer } from '../observer.ts';
import { isSessionUseless } from './postgres-errors.ts';

/** How long a query by entity waits for its answer. */
export const entityTimeoutMs = 5_000;

/** Of a lock, a statement, a transaction at rest; in milliseconds. Longer than any of ours takes in health. */
export const sessionLimits = {
  lock_timeout: 1_000,
  statement_timeout: 10_000,
  idle_in_transaction_session_timeout: 10_000,
} as const;

/**
 * How PostgreSQL plans what a session asks. Statements are prepared and written for their indexes:
 *
 * - one plan for all values, since planning over many partitions takes longer than what is planned;
 * - no sequential scan where an index will do: a partition that is empty when a plan is made is worth no index, and the
 *   plan is kept while it fills;
 * - no compilation, which costs of so many partitions seem to be worth.
 */
export const sessionPlanning = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  jit: 'off',
} as const;

const planning = Object.entries(sessionPlanning)
  .map(([name, value]) => `set ${name} = ${value}`)
  .join('; ');

/** For a pool of sessions that are ours: before it gives out a new connection. */
export async function onConnect(session: pg.ClientBase): Promise<void> {
  await session.query(planning);
}

/**
 * A connection of the pool that ends itself once it has met an error which it would meet for ever, or has
 * had no answer in time: a pool gives no client out again that has ended. Statements come as objects and
 * destroy theirs by themselves; of a query by entity, a text, nobody holds the connection.
 */
export class Session extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: pg declares eight overloads, and all of them pass through
  override query(...args: any[]): any {
    const result: unknown = Reflect.apply(super.query, this, args);
    if (result instanceof Promise) {
      result.catch((error: unknown) => {
        if (isSessionUseless(error)) void this.end();
      });
      if (typeof args[0] === 'string') this.#endUnlessAnswered(result);
    }
    return result;
  }

  /** But in a transaction: a migration takes as long as it takes. */
  #endUnlessAnswered(result: Promise<unknown>): void {
    if (this.getTransactionStatus() === 'T') return;
    const timer = setTimeout(() => void this.end(), entityTimeoutMs);
    const clear = () => clearTimeout(timer);
    result.then(clear, clear);
  }
}

/** Sessions that tell of each statement that has ended, whoever has asked for it. */
export function observedSession({ statementEnded }: Pick<Observer, 'statementEnded'>) {
  return class extends Session {
    // biome-ignore lint/suspicious/noExplicitAny: as above
    override query(...args: any[]): any {
      const startedAtMs = performance.now();
      const result: unknown = Reflect.apply(super.query, this, args);
      if (result instanceof Promise) {
        const name: string | undefined = args[0].name;
        const tell = (isFailed: boolean) =>
          statementEnded({
            name,
            isFailed,
            startedAtMs,
            durationMs: performance.now() - startedAtMs,
          });
        result.then(
          () => tell(false),
          () => tell(true),
        );
      }
      return result;
    }
  };
}
