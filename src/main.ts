import { startApp } from './app.ts';
import { readConfig } from './config.ts';
import { devEnvFile } from './dev-env.ts';
import { createLog } from './log.ts';
import { describeQuickStart, prepareQuickStart } from './quick-start.ts';
import { withQuickStartWebhooks } from './quick-start-webhooks.ts';
import { startServiceDatabase } from './service-database.ts';
import { createStandardOutput } from './standard-output.ts';
import { explainStartError } from './start-errors.ts';
import { stopOnSignal } from './stop-on-signal.ts';

export interface ServeOptions {
  /** Make and print what a first call needs; without DATABASE_URL on the embedded PostgreSQL. */
  readonly quickStart?: boolean;
  /** Run on the embedded PostgreSQL, though it is empty at first. */
  readonly embedded?: boolean;
}

/** Runs the service until a signal ends it. */
export async function main({ quickStart = false, embedded = false }: ServeOptions): Promise<void> {
  const database = embedded ? 'embedded' : quickStart ? 'either' : 'url';
  const given = readConfig(undefined, database);
  const config = quickStart ? await withQuickStartWebhooks(given) : given;
  const stdout = createStandardOutput();
  const log = createLog(config.logLevel, stdout);
  const shutdown = stopOnSignal(log);
  const starting = startServiceDatabase(config, log, shutdown);
  const stopDatabase = () =>
    starting.then(
      (database) => database.stop(),
      () => undefined,
    );
  shutdown.add(stopDatabase);
  try {
    const database = await starting;
    const app = await startApp(config, database.url, log);
    shutdown.signal.throwIfAborted();
    shutdown.add(() => app.stop());
    if (app.metricsAddress !== undefined) log.info(app.metricsAddress, 'metrics');
    log.info(app.address, 'listening');
    if (!quickStart) return;
    const { dataDirectory } = config;
    const facts = await prepareQuickStart(app, { dataDirectory, tls: config.tls !== undefined });
    stdout.write(describeQuickStart(facts, devEnvFile(dataDirectory)));
  } catch (error) {
    // The stop has begun, takes along what was started, and ends the process.
    if (shutdown.signal.aborted) return;
    await stopDatabase();
    throw new Error(explainStartError(error, config), { cause: error });
  }
}

if (import.meta.main) {
  await main({
    quickStart: process.argv.includes('--quick-start'),
    embedded: process.argv.includes('--embedded'),
  }).catch((error: unknown) => {
    process.stderr.write(`harbor: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
}
