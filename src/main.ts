import { join } from 'node:path';
import { startApp } from './app.ts';
import { readConfig } from './config.ts';
import { createLog } from './log.ts';
import { describeQuickStart, prepareQuickStart } from './quick-start.ts';
import { startServiceDatabase } from './service-database.ts';
import { createStandardOutput } from './standard-output.ts';
import { explainStartError } from './start-errors.ts';
import { stopOnSignal } from './stop-on-signal.ts';

/** Runs the service until a signal ends it; with `quickStart` also makes and prints what a first call needs. */
export async function main({ quickStart }: { quickStart: boolean }): Promise<void> {
  const config = readConfig();
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
    log.info(app.address, 'listening');
    if (!quickStart) return;
    const { dataDirectory } = config;
    const facts = await prepareQuickStart(app, { dataDirectory, tls: config.tls !== undefined });
    stdout.write(describeQuickStart(facts, join(dataDirectory, 'dev.env')));
  } catch (error) {
    // The stop has begun, takes along what was started, and ends the process.
    if (shutdown.signal.aborted) return;
    await stopDatabase();
    throw new Error(explainStartError(error, config), { cause: error });
  }
}

if (import.meta.main) {
  await main({ quickStart: process.argv.includes('--quick-start') }).catch((error: unknown) => {
    process.stderr.write(`harbor: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
}
