import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApiKeyStore, issueApiKey } from '../src/api-keys/index.ts';
import { type Database, openDatabase } from '../src/database/database.ts';
import { migrate } from '../src/database/migrate.ts';
import { startEmbeddedPostgres } from '../src/embedded-postgres/index.ts';
import { createWorkspaceStore } from '../src/workspaces/index.ts';
import { type Load, startLoad } from './load/load.ts';
import { type ServerName, type ServerProcess, startServer } from './server-process.ts';
import { workspaceIds } from './workload.ts';

/** What every bench stands on: a PostgreSQL of its own, a load process, and servers as they are asked for. */
export interface Stage extends AsyncDisposable {
  readonly databaseUrl: string;
  readonly secretKey: string;
  readonly load: Load;
  readonly database: Database;
  /** Starts a server on this stage's database, or returns the one that was started before. */
  server(name: ServerName): Promise<ServerProcess>;
  /** Starts a server that nobody else uses. */
  freshServer(name: ServerName, options?: ServerOptions): Promise<ServerProcess>;
}

export interface ServerOptions {
  /** Without the key of webhooks it sends none. */
  readonly sendsWebhooks?: boolean;
  /** What more its environment has. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Connections of every server. Above the service's default of 12, for the sake of the variants that are
 * measured against it: they hold one through all of a create, the service writes over four at the most.
 */
const poolSize = '32';
/** Webhooks go to receivers of the bench. */
const webhooks = {
  HARBOR_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
};

/** Starts it in a temporary folder; disposing ends and removes all of it. */
export async function openStage(): Promise<Stage> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'harbor-bench-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({
    directory,
    database: 'harbor',
    settings: { max_connections: '250' },
  });
  cleanup.defer(() => postgres.stop());
  const databaseUrl = postgres.url;
  const database = await openDatabase({
    url: databaseUrl,
    poolSize: 2,
    applicationName: 'harbor-bench-stage',
    onNotice: () => undefined,
  });
  cleanup.defer(() => database.close());
  await migrate(database);
  const secretKey = await seed(database);
  const load = startLoad();
  cleanup.defer(() => load.stop());

  const servers = new Map<ServerName, Promise<ServerProcess>>();
  const freshServer: Stage['freshServer'] = async (
    name,
    { sendsWebhooks = true, env = {} } = {},
  ) => {
    const started = await startServer(name, {
      DATABASE_URL: databaseUrl,
      DATABASE_POOL_SIZE: poolSize,
      ...(sendsWebhooks && webhooks),
      ...env,
    });
    running.defer(() => started.stop());
    return started;
  };
  const running = cleanup.move();
  return {
    databaseUrl,
    secretKey,
    load,
    database,
    freshServer,
    server(name) {
      const server = servers.get(name) ?? freshServer(name);
      servers.set(name, server);
      return server;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Makes the workspaces, and a secret key that may do everything. */
async function seed(database: Database): Promise<string> {
  const workspaces = createWorkspaceStore(database);
  for (const id of workspaceIds) await workspaces.create(id, '');
  const { secret } = await issueApiKey(createApiKeyStore(database), {
    kind: 'secret',
    displayName: 'bench',
    scopes: [],
    workspaceIds: [],
    typePatterns: [],
    expiresAt: undefined,
  });
  return secret;
}
