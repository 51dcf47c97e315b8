import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { chooseAccount, makeDirectory } from './account.ts';
import { locateBinaries } from './binaries.ts';
import { makeDatabase } from './client.ts';
import { CLUSTER_USER, dataDirOf, openCluster } from './cluster.ts';
import { EmbeddedPostgresError, errorCode } from './error.ts';
import { findFreePort } from './free-port.ts';
import { endLeftover } from './processes.ts';
import type { Exit, Server, ServerPlan } from './server.ts';
import { spawnServer, waitUntilReady } from './server.ts';

export { EmbeddedPostgresError } from './error.ts';
export type { Exit } from './server.ts';

export interface EmbeddedPostgresOptions {
  /**
   * Folder that holds the cluster and `server.log`, e.g. `<project>/.harbor/postgres`; made when
   * missing. One service at a time can use it.
   */
  readonly directory: string;
  /** Database that is made when missing. */
  readonly database: string;
  /** Server settings by name, on top of the durable defaults. */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * TCP port on 127.0.0.1. Without it the port of the last start in this directory is used when it
   * is still free, else any free one.
   */
  readonly port?: number;
  /** Breaks the start off; no process of it is left when the start has rejected. */
  readonly signal?: AbortSignal;
}

export interface EmbeddedPostgres {
  /** `postgres://harbor:<password>@127.0.0.1:<port>/<database>` */
  readonly url: string;
  /** The postmaster's process id. */
  readonly pid: number;
  /**
   * Ends the server within 32 s: fast shutdown, then harder means. Resolves also when it has
   * already ended; all calls share one result.
   */
  stop(): Promise<void>;
  /** Ends all processes of the server with SIGKILL, as a power cut would. For fault tests. */
  kill(): void;
  /** Resolves when the postmaster has ended, for whatever reason; never rejects. */
  readonly exited: Promise<Exit>;
}

type Outcome =
  | { readonly server: Server }
  | { readonly portTaken: EmbeddedPostgresError }
  | { readonly stillEnding: EmbeddedPostgresError };

const PORT_ATTEMPTS = 5;
/** Processes of a server that was killed may take a moment to let go of its memory, when they are listed no more. */
const ENDING_LIMIT_MS = 10_000;
const ENDING_INTERVAL_MS = 100;

/**
 * Starts PostgreSQL 18 on the cluster in `options.directory` and resolves when it answers queries.
 * A server that a killed service left there is ended first. The server has a process group of its
 * own, so Ctrl-C does not reach it; it is asked to end when this process exits without `stop()`, and
 * also when it has not started yet.
 *
 * @throws EmbeddedPostgresError when it cannot start: no package for this platform, a folder of
 *   another user or in use by a living service, a fixed port that is taken, a setting PostgreSQL
 *   refuses, or no answer for 60 s (a recovery that is under way may take longer); the reason of
 *   `signal` when that aborts first
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const directory = resolve(options.directory);
  try {
    const plan = await prepare(options, directory);
    return await startOnSomePort(options, plan);
  } catch (cause) {
    options.signal?.throwIfAborted();
    if (cause instanceof EmbeddedPostgresError) throw cause;
    throw startFailure(directory, cause);
  }
}

function startFailure(directory: string, cause: unknown): EmbeddedPostgresError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const isPowerlessRoot = errorCode(cause) === 'EPERM' && process.geteuid?.() === 0;
  const advice = isPowerlessRoot
    ? 'this root may not act for another user (it lacks CAP_SETUID, CAP_SETGID or CAP_CHOWN), so ' +
      'start the service as an ordinary user.'
    : 'check the folder, or point the service at a PostgreSQL server of your own.';
  const message = `PostgreSQL in ${directory} cannot be started: ${reason}; ${advice}`;
  return new EmbeddedPostgresError(message, { cause });
}

async function prepare(options: EmbeddedPostgresOptions, directory: string): Promise<ServerPlan> {
  const { signal } = options;
  await makeDirectory(directory);
  const account = await chooseAccount(directory, dataDirOf(directory));
  const { initdb, postgres, pgCtl } = await locateBinaries(account !== undefined);
  signal?.throwIfAborted();
  const cluster = await openCluster(directory, { account, initdb, signal });
  await endLeftover({ dataDir: cluster.dataDir, pgCtl });
  const port = options.port ?? (await readLastPort(cluster.dataDir)) ?? (await findFreePort());
  return { directory, cluster, account, postgres, pgCtl, settings: options.settings ?? {}, port };
}

async function startOnSomePort(
  options: EmbeddedPostgresOptions,
  firstPlan: ServerPlan,
): Promise<EmbeddedPostgres> {
  const endingUntilMs = performance.now() + ENDING_LIMIT_MS;
  let plan = firstPlan;
  for (let attempt = 1; ; ) {
    const outcome = await startOnPort(plan, options);
    if ('server' in outcome) return createHandle(outcome.server, plan, options.database);
    if ('stillEnding' in outcome) {
      if (performance.now() > endingUntilMs) throw outcome.stillEnding;
      await delay(ENDING_INTERVAL_MS, undefined, { signal: options.signal });
      continue;
    }
    attempt += 1;
    if (options.port !== undefined || attempt > PORT_ATTEMPTS) throw outcome.portTaken;
    plan = { ...plan, port: await findFreePort() };
  }
}

async function startOnPort(
  plan: ServerPlan,
  { database, signal }: EmbeddedPostgresOptions,
): Promise<Outcome> {
  signal?.throwIfAborted();
  const server = await spawnServer(plan);
  // Whatever the start waits for, it notices that the server has ended.
  const breakOff = () => server.signal('SIGINT');
  signal?.addEventListener('abort', breakOff, { once: true });
  try {
    signal?.throwIfAborted();
    await waitUntilReady(server, plan);
    await makeDatabase({ port: plan.port, password: plan.cluster.password }, database);
    signal?.throwIfAborted();
    return { server };
  } catch (error) {
    await server.end();
    signal?.throwIfAborted();
    if (!(error instanceof EmbeddedPostgresError)) throw error;
    const { serverLog } = error;
    if (serverLog.includes('pre-existing shared memory block')) return { stillEnding: error };
    if (!serverLog.includes('could not bind IPv4')) throw error;
    const message = `Port ${plan.port} of 127.0.0.1 is taken: free it, or set another one.`;
    return { portTaken: new EmbeddedPostgresError(message, { serverLog }) };
  } finally {
    signal?.removeEventListener('abort', breakOff);
  }
}

function createHandle(server: Server, plan: ServerPlan, database: string): EmbeddedPostgres {
  const { pid, exited } = server;
  let stopping: Promise<void> | undefined;
  const { password } = plan.cluster;
  return {
    url: `postgres://${CLUSTER_USER}:${password}@127.0.0.1:${plan.port}/${encodeURIComponent(database)}`,
    pid,
    exited,
    stop() {
      stopping ??= server.end();
      return stopping;
    },
    kill: () => server.signal('SIGKILL'),
  };
}

/** The port of the last start, which PostgreSQL keeps in `postmaster.opts`. */
async function readLastPort(dataDir: string): Promise<number | undefined> {
  const command = await readFile(join(dataDir, 'postmaster.opts'), 'utf8').catch(() => '');
  const port = /"port=(\d+)"/.exec(command)?.[1];
  return port === undefined ? undefined : Number(port);
}
