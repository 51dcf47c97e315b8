/**
 * The embedded PostgreSQL cannot be used. `message` is one line that names the folder or the cause
 * and what to do; `serverLog` holds the last lines of `server.log` when the server stopped by
 * itself, else it is empty.
 */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
  readonly serverLog: string;

  constructor(message: string, details: { cause?: unknown; serverLog?: string } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.serverLog = details.serverLog ?? '';
  }
}

/** The code of a system error (`ENOENT`) or of a PostgreSQL error (`57P03`), if there is one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
