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

/**
 * The session is gone or about to be: class 08 (connection), 53 (resources), 57P (shutdown,
 * termination), a statement timeout, or a socket error, which has no SQLSTATE.
 */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === undefined || /^(08|53|57P|57014|25P03)/.test(state);
}
