import { DirectConnectionFailed } from './database/direct-pool.ts';

/** The errors that say by themselves what a person can do. */
const plainSpoken = new Set([
  'ConfigInvalid',
  'DatabaseReadOnly',
  'DurabilityUnsafe',
  'EmbeddedPostgresError',
  'LockTableTooSmall',
  'PoolerSharesSessions',
  'PoolerUnfit',
  'SchemaInUse',
  'SchemaTooNew',
  'WorkspaceAlreadyExists',
  'WorkspaceNotFound',
  'RetentionOutOfRange',
  'NotConfirmed',
  'ApiKeyNotFound',
  'ApiKeyNotActive',
  'ApiKeyContradictory',
  'OldSecretsFull',
]);

/** An error's own words where it is one for people, its stack where it is a fault of ours. */
export function describeStartError(error: Error): string {
  const explained = plainSpoken.has(error.name) || error.name === 'Error';
  return explained ? error.message : (error.stack ?? error.message);
}

/** Where the service, or a command, was to start. */
export interface StartedAt extends Address {
  readonly metrics?: Address | undefined;
  readonly databaseUrl: string | undefined;
  readonly databaseDirectUrl: string | undefined;
  /** The variable that has `databaseUrl`, unless it is DATABASE_URL. */
  readonly databaseSource?: string;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** What to print when the service cannot start: one line that says what to do, or a stack for a bug. */
export function explainStartError(error: unknown, at: StartedAt): string {
  if (!(error instanceof Error)) return String(error);
  if (plainSpoken.has(error.name)) return error.message;
  const code = 'code' in error ? error.code : undefined;
  const syscall = 'syscall' in error ? error.syscall : undefined;
  if (syscall === 'listen' || (syscall === 'getaddrinfo' && at.databaseUrl === undefined)) {
    const isMetrics = at.metrics !== undefined && isFor(error, at.metrics) && !isFor(error, at);
    return isMetrics
      ? explainListenError(code, at.metrics, 'METRICS_')
      : explainListenError(code, at, '');
  }
  if (at.databaseUrl !== undefined && isDatabaseError(error)) {
    const where = describeDatabase(error, at.databaseUrl, at);
    if (isSchemaOlder(error))
      return `${where} has no schema yet, or an older one; run "npm run harbor -- migrate"`;
    return `${where} cannot be used: ${innermost(error)}`;
  }
  return error.stack ?? error.message;
}

function describeDatabase(error: Error, url: string, at: StartedAt): string {
  if (error instanceof DirectConnectionFailed && at.databaseDirectUrl !== undefined) {
    return `PostgreSQL at ${withoutPassword(at.databaseDirectUrl)} (DATABASE_DIRECT_URL)`;
  }
  return `PostgreSQL at ${withoutPassword(url)} (${at.databaseSource ?? 'DATABASE_URL'})`;
}

/** Node says which port, or which name, it was that could not be had. */
function isFor(error: Error & { port?: unknown; hostname?: unknown }, at: Address): boolean {
  return error.hostname === undefined ? error.port === at.port : error.hostname === at.host;
}

/** @param prefix of the variables that say where to listen. */
function explainListenError(code: unknown, at: Address, prefix: string): string {
  const where = `port ${at.port} of ${at.host}`;
  if (code === 'EADDRINUSE')
    return `${where} is taken; end what listens there, or set ${prefix}PORT to another one`;
  if (code === 'EACCES')
    return `${where} may not be opened by this user; set ${prefix}PORT to one above 1023`;
  return `${where} cannot be opened (${String(code)}); set ${prefix}HOST to an address of this machine`;
}

function isDatabaseError(error: Error): boolean {
  const chain = [error, error.cause].filter((one) => one instanceof Error);
  return chain.some(
    (one) =>
      'severity' in one ||
      'syscall' in one ||
      one.name === 'DatabaseUnavailable' ||
      one instanceof AggregateError ||
      /timeout|Connection terminated|SSL|SASL|certificate/i.test(one.message),
  );
}

/** SQLSTATE 42P01 and 42703: a table or column that a statement names does not exist. */
function isSchemaOlder(error: Error): boolean {
  return 'code' in error && ['42P01', '42703'].includes(String(error.code));
}

function innermost(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((one) => one.message).join('; ');
  return error.cause instanceof Error ? innermost(error.cause) : error.message;
}

function withoutPassword(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
