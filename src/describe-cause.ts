import { sqlStateOf } from './database/postgres-errors.ts';

/**
 * An error for the log: its name, text and stack. Not its other members: PostgreSQL puts the failing row,
 * and so a payload, into one of them.
 */
export function describeCause(error: unknown): unknown {
  if (!(error instanceof Error)) return { name: typeof error };
  const { name, message, stack, cause } = error;
  return {
    name,
    message,
    sqlstate: sqlStateOf(error),
    stack,
    cause: cause === undefined ? undefined : describeCause(cause),
  };
}
