import { getHeapSpaceStatistics } from 'node:v8';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';

/** The service, started with --expose-gc by a parent to which it tells its port and, asked, its memory. */
const config = readConfig();
if (config.databaseUrl === undefined) throw new Error('DATABASE_URL is missing');
const app = await startApp(config, config.databaseUrl, createLog(config.logLevel));

process.on('message', () => {
  for (let n = 0; n < 3; n++) globalThis.gc?.();
  const nursery = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  process.send?.({ ...process.memoryUsage(), nursery: nursery?.physical_space_size ?? 0 });
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
process.send?.(app.address.port);
