import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import {
  CreateEventRequestSchema,
  EventsService,
} from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { WorkspacesService } from '../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import {
  type ApiKeyStore,
  createApiKeyStore,
  createApiKeysRpc,
  createAuthenticator,
  createLastUsed,
  createStreamWatch,
} from './api-keys/index.ts';
import { createBackgroundReport } from './background-report.ts';
import type { Config } from './config.ts';
import { openDatabase } from './database/database.ts';
import { readDatabaseFacts } from './database/database-facts.ts';
import { assertDurable } from './database/durability.ts';
import { createHeartbeat } from './database/heartbeat.ts';
import { migrate } from './database/migrate.ts';
import { createNotifications } from './database/notifications.ts';
import { assertSessionsKept } from './database/pooler.ts';
import { assertWritable } from './database/writable.ts';
import {
  createAppendQueue,
  createCommitNotices,
  createEventFeeds,
  createEventLogStore,
  createEventReader,
  createEventStore,
  createEventsRpc,
  createHeldTypes,
  createOpenStream,
  parseCommitNotice,
  ShuttingDown,
  sweepExpiredKeys,
} from './events/index.ts';
import { mendJsonParse } from './json-parse.ts';
import type { Log } from './log.ts';
import { createLoopTurns } from './loop-turns.ts';
import { startPeriodic } from './periodic.ts';
import { describeCause } from './server/calls/call-log.ts';
import { explainItem } from './server/errors/item-error.ts';
import { createContractValidator } from './server/rpc/contract-validator.ts';
import { createMessageCheck } from './server/rpc/interceptors.ts';
import { createHealth, createServer, type ServerLoad } from './server/server.ts';
import {
  createWorkspaceStore,
  createWorkspacesRpc,
  type WorkspaceStore,
} from './workspaces/index.ts';

/** Calls in flight get this long to finish after a stop begins; the whole stop takes at most 25 s. */
const drainGraceMs = 20_000;
const sweepEveryMs = 1_000;
const noteUsesEveryMs = 10_000;
/** A stream ends within 5 s after its key was revoked. */
const checkKeysEveryMs = 2_000;
/** Finds what a lost wake-up would have told. */
const pollEveryMs = 1_000;
/** Of the 10 s after which a silent PostgreSQL is told. */
const heartbeatEveryMs = 1_000;

const services = [EventsService, ApiKeysService, WorkspacesService];

/** The running service. */
export interface App {
  readonly address: { readonly host: string; readonly port: number };
  readonly apiKeys: ApiKeyStore;
  readonly workspaces: WorkspaceStore;
  /** What the process holds at this moment. */
  load(): ServerLoad;
  /** Drains and stops: no call in flight fails, nothing that was accepted is lost. */
  stop(): Promise<void>;
}

/**
 * Makes every object of the service once, migrates the database and listens.
 *
 * @throws DatabaseUnavailable, DatabaseReadOnly, DurabilityUnsafe, or the error of a port that cannot be had; nothing is
 * left running then.
 */
export async function startApp(config: Config, databaseUrl: string, log: Log): Promise<App> {
  mendJsonParse();
  const database = await openDatabase({
    url: databaseUrl,
    poolSize: config.databasePoolSize,
    applicationName: 'harbor-events',
    onNotice: (message) => log.info(message),
  });
  try {
    log.info({ database: await readDatabaseFacts(database, databaseUrl) }, 'using this database');
    await assertSessionsKept(database);
    await assertWritable(database);
    await assertDurable(database, config.allowUnsafeDurability);
    await migrate(database);
  } catch (error) {
    await database.close();
    throw error;
  }

  const health = createHealth((reason) =>
    reason === undefined ? log.info('ready') : log.warn({ reason }, 'not ready'),
  );
  // Migrated, and answering.
  health.databaseAnswered();
  const background = createBackgroundReport(log);
  const report = background.of;
  const { statements, beat } = createHeartbeat(database.statements, () => {
    health.databaseAnswered();
    background.databaseAnswered();
  });
  const workspaces = createWorkspaceStore({ orm: database.orm, statements });
  const apiKeys = createApiKeyStore(database.orm, statements);
  const events = createEventStore(statements);
  const reader = createEventReader(events);
  const lastUsed = createLastUsed(apiKeys);
  const { assertExists } = workspaces;

  const eventLog = createEventLogStore(statements);
  const feeds = createEventFeeds(eventLog, {
    onGap: (error) => log.fatal({ cause: describeCause(error) }, 'the log has a gap'),
    onSetBack: (error) => log.error({ cause: describeCause(error) }, 'the log was set back'),
    onError: report('follow the log'),
  });
  const notifications = createNotifications(database, {
    channel: 'harbor_commits',
    onMessage(text) {
      for (const [id, lastSequence] of parseCommitNotice(text)) feeds.wake(id, lastSequence);
    },
  });
  const notices = createCommitNotices(notifications.send, report('tell other processes'));
  const turns = createLoopTurns();
  const onCommitted = (workspaceId: string, lastSequence: number) => {
    feeds.wake(workspaceId, lastSequence);
    notices.note(workspaceId, lastSequence);
  };
  const queue = createAppendQueue(events, { onCommitted, turns });
  const streams = createStreamWatch(apiKeys);
  const openStream = createOpenStream({ log: eventLog, feeds, workspaces, streams });
  const validator = createContractValidator(services);
  const checkMessage = createMessageCheck(validator);

  const server = createServer({
    routes: (router) => {
      router.service(
        EventsService,
        createEventsRpc({
          queue,
          reader,
          heldTypes: createHeldTypes(events),
          log: eventLog,
          workspaces,
          openStream,
          validate: (request) => checkMessage(CreateEventRequestSchema, request),
          explain: explainItem,
        }),
      );
      router.service(
        ApiKeysService,
        createApiKeysRpc({ store: apiKeys, assertWorkspaceExists: assertExists }),
      );
      router.service(WorkspacesService, createWorkspacesRpc(workspaces));
    },
    openStream,
    validator,
    serviceNames: services.map(({ typeName }) => typeName),
    authenticator: createAuthenticator(apiKeys),
    lastUsed,
    health,
    tls: config.tls,
    corsOrigins: config.corsOrigins,
    log,
    turns,
    stallMsMax: config.streamStallMs,
  });

  const loops = [
    startPeriodic({
      intervalMs: heartbeatEveryMs,
      round: beat,
      // The other loops tell why; that it matters is told by "not ready".
      onError: () => undefined,
    }),
    startPeriodic({
      intervalMs: sweepEveryMs,
      round: async (signal) => void (await sweepExpiredKeys(events, signal)),
      onError: report('sweep expired keys'),
    }),
    startPeriodic({
      intervalMs: noteUsesEveryMs,
      round: () => lastUsed.write(),
      onError: report('note uses of API keys'),
    }),
    startPeriodic({
      intervalMs: checkKeysEveryMs,
      round: () => streams.check(),
      onError: report('check the keys of streams'),
    }),
    startPeriodic({
      intervalMs: pollEveryMs,
      round: () => feeds.poll(),
      onError: report('poll the logs'),
    }),
    startPeriodic({
      intervalMs: pollEveryMs,
      round: () => notifications.keepListening(),
      onError: report('listen to other processes'),
    }),
  ];

  async function closeDown(): Promise<void> {
    await Promise.all(loops.map((loop) => loop.stop()));
    await lastUsed.write().catch(report('note uses of API keys'));
    notifications.close();
    await database.close();
  }

  try {
    const address = await server.listen(config.host, config.port);
    return {
      address,
      apiKeys,
      workspaces,
      load: server.load,
      async stop() {
        health.stop();
        streams.endAll(new ShuttingDown());
        await server.stop(drainGraceMs);
        await queue.drained();
        await closeDown();
      },
    };
  } catch (error) {
    await closeDown();
    throw error;
  }
}
