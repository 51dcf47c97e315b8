import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import type { Log } from './log.ts';
import type { Shutdown } from './stop-on-signal.ts';

/** The PostgreSQL that the service runs on: the operator's, or the embedded one. */
export interface ServiceDatabase {
  readonly url: string;
  /** Ends the embedded server; does nothing to the operator's. */
  stop(): Promise<void>;
}

/** Where a running quick start says how to reach its PostgreSQL, for the CLI; mode 0600. */
export function embeddedUrlFile(config: Config): string {
  return join(config.dataDirectory, 'postgres.url');
}

/**
 * The embedded server is started again when it ends by itself; when that does not help, the process fails.
 *
 * @throws EmbeddedPostgresError, also when the folder's server is in use by another service; what
 * `shutdown` aborts with, when that comes first. No server is left running then.
 */
export async function startServiceDatabase(
  config: Config,
  log: Log,
  shutdown: Pick<Shutdown, 'signal' | 'fail'>,
): Promise<ServiceDatabase> {
  if (config.databaseUrl !== undefined) {
    return { url: config.databaseUrl, stop: async () => undefined };
  }
  // Imported only here: where DATABASE_URL is set, its package need not be installed.
  const { keepEmbeddedPostgres } = await import('./embedded-postgres/index.ts');
  const embedded = await keepEmbeddedPostgres(
    {
      directory: join(config.dataDirectory, 'postgres'),
      database: 'harbor',
      signal: shutdown.signal,
    },
    {
      onEnd: (exit) => log.error({ exit }, 'the embedded PostgreSQL has ended; starting it again'),
      onRestart: () => log.info('the embedded PostgreSQL is back'),
      onLost: ({ message }) =>
        shutdown.fail(`the embedded PostgreSQL has ended and cannot be started again: ${message}`),
    },
  );
  await writeFile(embeddedUrlFile(config), embedded.url, { mode: 0o600 });
  return {
    url: embedded.url,
    async stop() {
      await rm(embeddedUrlFile(config), { force: true });
      await embedded.stop();
    },
  };
}
