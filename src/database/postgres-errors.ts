import { DatabaseContended, DatabaseUnavailable } from '../database-unavailable.ts';

/** The SQLSTATE of an error that PostgreSQL reported, or undefined for any other error. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Deadlock, serialization failure, lock timeout: the same statement may succeed when run again. */
export function isTransient(error: unknown): boolean {
  return ['40P01', '40001', '55P03'].includes(sqlStateOf(error) ?? '');
}

/** Data exception or integrity violation: a row of the statement is at fault, not the server. */
export function isRowAtFault(error: unknown): boolean {
  return /^(22|23)/.test(sqlStateOf(error) ?? '');
}

/** A row belongs to no partition of its table: the one part of class 23 that is no fault of the row. */
export function isPartitionMissing(error: unknown): boolean {
  if (sqlStateOf(error) !== '23514') return false;
  // A check that a row breaks has a name.
  return error instanceof Error && 'constraint' in error && error.constraint === undefined;
}

/**
 * The session is gone or about to be: class 08 (connection), 53 (resources), 57P (shutdown,
 * termination), a statement timeout, the time limits of idle and of transactions, or a socket error,
 * which has no SQLSTATE. Or it is of no use, while a new one may serve: see `isSessionUseless`.
 */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state === undefined || isSessionUseless(error)) return true;
  return /^(08|53|57P|57014|25P03|25P04)/.test(state);
}

/**
 * The session lives, but the statement can never run on it, and nothing of it was run: the server was
 * demoted or made read-only (25006), so that a new connection may find the primary; or the session's
 * prepared statements are not those that were prepared on it: they are gone (26000), there twice (42P05),
 * or older than a change of the schema.
 */
export function isSessionUseless(error: unknown): boolean {
  return ['25006', '26000', '42P05'].includes(sqlStateOf(error) ?? '') || isPlanOutdated(error);
}

/**
 * What a caller is told in place of the error of `pg`: DatabaseUnavailable for a lost connection, DatabaseContended for
 * a lost lock, any other as it is.
 *
 * @param sent whether what was lost may have been carried out all the same.
 */
export function toDatabaseError(error: unknown, sent = true): unknown {
  if (error instanceof DatabaseUnavailable) return error;
  if (isTransient(error)) return new DatabaseContended(error);
  if (!isConnectionLost(error)) return error;
  return new DatabaseUnavailable('the connection to PostgreSQL was lost', {
    sent: sent && !isSessionUseless(error),
    cause: error,
  });
}

/** "cached plan must not change result type": SQLSTATE 0A000 for itself means what is not supported. */
function isPlanOutdated(error: unknown): boolean {
  if (sqlStateOf(error) !== '0A000') return false;
  return error instanceof Error && 'routine' in error && error.routine === 'RevalidateCachedQuery';
}
