import type { Pool, PoolClient } from 'pg';
import { DatabaseUnavailable } from '../database-unavailable.ts';
import { isSessionUseless } from './postgres-errors.ts';

/** The time for a connection and an answer together. */
export interface Deadline {
  /** Rejects when it has passed. */
  readonly passed: Promise<never>;
  isSent: boolean;
  clear(): void;
}

export function createDeadline(timeoutMs: number): Deadline {
  const { promise: passed, reject } = Promise.withResolvers<never>();
  passed.catch(() => undefined);
  let isOver = false;
  const clear = () => {
    isOver = true;
    clearTimeout(timer);
  };
  const deadline = { passed, isSent: false, clear };
  const pass = () => {
    if (isOver) return;
    const { isSent: sent } = deadline;
    reject(new DatabaseUnavailable('PostgreSQL did not answer in time', { sent }));
  };
  // A process that was busy itself first reads what has come in meanwhile: it may be the answer.
  const timer = setTimeout(() => setImmediate(pass), timeoutMs);
  if (timeoutMs <= 0) pass();
  return deadline;
}

/**
 * A connection of the pool, whose holder destroys it when an answer was late.
 *
 * @throws DatabaseUnavailable that was not sent.
 */
export async function connect(pool: Pool, deadline: Deadline): Promise<PoolClient> {
  const connecting = pool.connect();
  try {
    return await Promise.race([connecting, deadline.passed]);
  } catch (cause) {
    connecting.then(
      (client) => client.release(),
      () => undefined,
    );
    if (cause instanceof DatabaseUnavailable) throw cause;
    throw new DatabaseUnavailable('PostgreSQL cannot be reached', { sent: false, cause });
  }
}

/**
 * Lets `attempt` try again where it met a kept session that is of no use, of which nothing was run: after a
 * failover the pool may hold a dozen of them. The first new one decides.
 *
 * @param attempt throws DatabaseUnavailable with what PostgreSQL said as its cause; it is told what is left of the time.
 */
export async function onUsefulSession<T>(
  pool: Pool,
  timeoutMs: number,
  attempt: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  const endsAtMs = performance.now() + timeoutMs;
  for (;;) {
    const isKept = pool.idleCount > 0;
    try {
      return await attempt(endsAtMs - performance.now());
    } catch (error) {
      if (!isKept || !isSessionUseless((error as Error).cause)) throw error;
    }
  }
}
