import { startApp } from '../../../src/app.ts';
import { readConfig } from '../../../src/config.ts';
import { createLog } from '../../../src/log.ts';
import type { DeliverySchedule } from '../../../src/webhooks/index.ts';

/**
 * The service, with a schedule of webhooks by which hours are parts of a second, and no delivery is ever given up.
 * Takes the service's environment; it is ended by SIGKILL.
 */
const schedule: DeliverySchedule = {
  retryAfterMs: Array.from({ length: 10_000 }, () => 100),
  jitter: 0.2,
  // Above the endpoints' timeout, as it must be.
  leaseMs: 3_000,
  circuitFailures: 20,
  circuitAfterMs: 300,
  circuitWaitMs: { first: 200, most: 800 },
  retryAfterMsMax: 1_000,
  tellAfterMs: 3_600_000,
  disableAfterMs: 7_200_000,
};

const config = readConfig();
if (config.databaseUrl === undefined) throw new Error('DATABASE_URL is missing');
const hasty = { ...config, webhooks: { ...config.webhooks, schedule } };
const log = createLog(config.logLevel);
const { address } = await startApp(hasty, config.databaseUrl, log);
log.info(address, 'listening');
