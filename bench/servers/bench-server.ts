import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import {
  createApiKeyStore,
  createAuthenticator,
  createLastUsed,
} from '../../src/api-keys/index.ts';
import { readConfig } from '../../src/config.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { createLog } from '../../src/log.ts';
import { createContractValidator } from '../../src/server/rpc/contract-validator.ts';
import type { Routes } from '../../src/server/rpc/router.ts';
import { createHealth, createServer } from '../../src/server/server.ts';
import { stopOnSignal } from '../../src/stop-on-signal.ts';

/**
 * Listens with the service's own server, gate and authenticator, and other handlers behind them. Takes
 * the service's environment; ends like the service does.
 */
export async function runBenchServer(routesOver: (database: Database) => Routes): Promise<void> {
  const config = readConfig();
  if (config.databaseUrl === undefined) throw new Error('DATABASE_URL is missing');
  const log = createLog(config.logLevel);
  const database = await openDatabase({
    url: config.databaseUrl,
    poolSize: config.databasePoolSize,
    applicationName: 'harbor-bench',
    onNotice: (message) => log.info(message),
  });
  const apiKeys = createApiKeyStore(database);
  const health = createHealth();
  const server = createServer({
    routes: routesOver(database),
    validator: createContractValidator([EventsService]),
    streams: [],
    services: [EventsService],
    authenticator: createAuthenticator(apiKeys),
    lastUsed: createLastUsed(apiKeys),
    health,
    tls: undefined,
    corsOrigins: config.corsOrigins,
    log,
    stallMsMax: config.streamStallMs,
  });
  await server.listen(config.host, config.port);
  stopOnSignal(log).add(async () => {
    health.stop();
    await server.stop(5_000);
    await database.close();
  });
}
