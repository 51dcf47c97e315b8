import { type ApiKeyStore, auditReaders, createApiKeysFeature } from './api-keys/index.ts';
import { createAuditFeature } from './audit/index.ts';
import { createBackgroundReport } from './background-report.ts';
import type { Config } from './config.ts';
import { createClockWatch } from './database/clock-watch.ts';
import type { Database } from './database/database.ts';
import { createHeartbeat } from './database/heartbeat.ts';
import { createEventPartitions } from './database/partitions/event-partitions.ts';
import { createPartitionKeeper } from './database/partitions/partition-keeper.ts';
import { describeCause } from './describe-cause.ts';
import { createEventsFeature } from './events/index.ts';
import { joinFeatures } from './joined-features.ts';
import { mendJsonParse } from './json-parse.ts';
import type { Log } from './log.ts';
import { createLoopTurns } from './loop-turns.ts';
import { divideMemory } from './memory-room.ts';
import { openMetrics } from './metrics/open-metrics.ts';
import { type Observer, observeFor } from './observer.ts';
import { startPeriodic } from './periodic.ts';
import { createRateLimitsFeature } from './rate-limits/index.ts';
import { openReadyDatabase } from './ready-database.ts';
import { explainItem } from './server/errors/item-error.ts';
import { compileRules, createContractValidator } from './server/rpc/contract-validator.ts';
import { createMessageCheck } from './server/rpc/interceptors.ts';
import { createHealth, createServer, type ServerLoad } from './server/server.ts';
import { openTracing } from './tracing/open-tracing.ts';
import type { Tracing } from './tracing/tracing.ts';
import { createWebhooksFeature } from './webhooks/index.ts';
import { createWorkspacesFeature, type WorkspaceStore } from './workspaces/index.ts';

/** Calls in flight get this long to finish after a stop begins; the whole stop takes at most 25 s. */
const drainGraceMs = 20_000;
/** Of the 10 s after which a silent PostgreSQL is told. */
const heartbeatEveryMs = 1_000;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The running service. */
export interface App {
  readonly address: Address;
  /** Undefined: there are none. */
  readonly metricsAddress: Address | undefined;
  readonly apiKeys: ApiKeyStore;
  readonly workspaces: WorkspaceStore;
  /** What the process holds at this moment. */
  load(): ServerLoad;
  /** Drains and stops: no call in flight fails, nothing that was accepted is lost. */
  stop(): Promise<void>;
}

/**
 * Migrates the database, makes every object of the service once, and listens.
 *
 * @throws DatabaseUnavailable, DatabaseReadOnly, DurabilityUnsafe, or the error of a port that cannot be had; nothing is
 * left running then.
 */
export async function startApp(config: Config, databaseUrl: string, log: Log): Promise<App> {
  mendJsonParse();
  const tracing = await openTracing(config.tracing, log);
  const metrics = await openMetrics(config.metrics, (error) =>
    log.error({ cause: describeCause(error) }, 'the metrics cannot be read'),
  );
  const observer = observeFor([...metrics.watchers, ...(tracing ? [tracing.watcher] : [])]);
  const database = await openReadyDatabase(config, databaseUrl, { log, observer });
  const { health, heart, features, apiKeys, workspaces, server } = assemble(config, {
    database,
    log,
    observer,
    tracing,
  });
  metrics.show([...server.gauges, ...database.gauges, ...features.gauges]);
  const heartbeat = startPeriodic(heart);
  features.startLoops();

  async function closeDown(): Promise<void> {
    await Promise.all([heartbeat.stop(), features.close()]);
    await Promise.all([metrics.close(), database.close()]);
    await tracing?.stop();
  }

  try {
    const metricsAddress = await metrics.listen();
    const address = await server.listen(config.host, config.port);
    return {
      address,
      metricsAddress,
      apiKeys: apiKeys.store,
      workspaces: workspaces.store,
      load: server.load,
      async stop() {
        health.stop();
        features.endStreams();
        await server.stop(drainGraceMs);
        await features.drained();
        await closeDown();
      },
    };
  } catch (error) {
    await closeDown();
    throw error;
  }
}

interface Means {
  readonly database: Database;
  readonly log: Log;
  readonly observer: Observer;
  readonly tracing: Tracing | undefined;
}

function assemble(config: Config, { database, log, observer, tracing }: Means) {
  const health = createHealth((reason) =>
    reason === undefined ? log.info('ready') : log.warn({ reason }, 'not ready'),
  );
  // Migrated, and answering.
  health.databaseAnswered();
  const { of: report, databaseAnswered } = createBackgroundReport(log);
  const { statements, beat } = createHeartbeat(database, {
    onAnswer() {
      health.databaseAnswered();
      databaseAnswered();
    },
    onClock: createClockWatch(log),
  });
  const partitionKeeper = createPartitionKeeper({
    partitions: createEventPartitions({ ...database, statements }),
    beat,
    log,
    report,
  });
  const turns = createLoopTurns();
  const validator = createContractValidator();
  const room = divideMemory();
  const deps = { database: { ...database, statements }, log, report, turns, observer, room };

  const workspaces = createWorkspacesFeature(deps);
  const apiKeys = createApiKeysFeature(deps, {
    assertWorkspacesExist: workspaces.store.assertAllExist,
  });
  const rateLimits = createRateLimitsFeature(observer);
  const { limiter } = rateLimits;
  const events = createEventsFeature(deps, {
    workspaces: workspaces.store,
    streamWatch: apiKeys.streamWatch,
    limiter,
    check: createMessageCheck(validator),
    explain: explainItem,
    onPartitionMissing: partitionKeeper.renew,
  });
  const audit = createAuditFeature(deps, auditReaders);
  const webhooks = createWebhooksFeature(deps, {
    ...config.webhooks,
    commits: events.commits,
    leftBehind: events.leftBehind,
    workspaces: workspaces.store,
    tracing,
  });
  const upkeep = { rpcs: [], loops: [partitionKeeper.loop] };
  const features = joinFeatures(
    [workspaces, apiKeys, rateLimits, events, audit, webhooks, upkeep],
    report,
  );

  compileRules(validator, features.services);
  const server = createServer({
    routes: features.addRoutes,
    services: features.services,
    reflection: config.reflection,
    streams: features.streams,
    validator,
    authenticator: apiKeys.authenticator,
    lastUsed: apiKeys.lastUsed,
    limiter,
    health,
    tls: config.tls,
    corsOrigins: config.corsOrigins,
    log,
    callLog: config.callLog,
    observer,
    tracing,
    turns,
    room,
    stallMsMax: config.streamStallMs,
  });
  // The loops of features tell why PostgreSQL is lost; that it matters is told by "not ready".
  const heart = { intervalMs: heartbeatEveryMs, round: beat, onError: () => undefined };
  return { health, heart, features, apiKeys, workspaces, server };
}
