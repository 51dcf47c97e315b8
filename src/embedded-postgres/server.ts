import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Account } from './account.ts';
import { statIfPresent } from './account.ts';
import { withClient } from './client.ts';
import type { Cluster } from './cluster.ts';
import { dataArgument, programEnvironment } from './cluster.ts';
import { EmbeddedPostgresError, errorCode } from './error.ts';
import type { ServerLocation } from './processes.ts';
import { endProcesses, listServerProcesses, PARENT_SETTING, signalProcesses } from './processes.ts';

/** How a process ended: by itself (`code`) or by a signal (`SIGKILL`). */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** What one start of the server needs. */
export interface ServerPlan {
  /** Folder of `server.log`. */
  readonly directory: string;
  readonly cluster: Cluster;
  readonly account: Account | undefined;
  readonly postgres: string;
  readonly pgCtl: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly port: number;
}

/** A postmaster this process has started. */
export interface Server {
  readonly pid: number;
  /** Resolves when the postmaster has ended; never rejects. */
  readonly exited: Promise<Exit>;
  /** Sends the signal to the server, unless it has ended. */
  signal(signal: 'SIGINT' | 'SIGKILL'): void;
  /** Ends the server, by harder means after 20 s and 27 s; resolves at once when it has ended. */
  end(): Promise<void>;
  /** What the server has logged since this start. */
  readLog(): Promise<string>;
}

const READY_TIMEOUT_MS = 60_000;
const READY_INTERVAL_MS = 25;
const LOG_LIMIT_BYTES = 10 * 1024 * 1024;
const LOG_TAIL_LINES = 20;

const DURABLE_SETTINGS = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' };

/**
 * Starts the postmaster in a process group of its own, logging to `server.log`. It is asked to end when this
 * process exits.
 *
 * @throws EmbeddedPostgresError when the program cannot be run
 */
export async function spawnServer(plan: ServerPlan): Promise<Server> {
  const logPath = join(plan.directory, 'server.log');
  const log = await openLog(logPath, plan.directory);
  const { size: logStart } = await log.stat();
  try {
    const child = spawn(plan.postgres, serverArguments(plan), {
      cwd: plan.cluster.dataDir,
      env: programEnvironment(),
      detached: true,
      windowsHide: true,
      // A file, for a full pipe would block the server.
      stdio: ['ignore', log.fd, log.fd],
      ...plan.account,
    });
    if (child.pid === undefined) throw await spawnFailure(child, plan);
    child.unref();
    const controls = createControls(child, child.pid, plan);
    const endOnExit = () => controls.signal('SIGINT');
    process.once('exit', endOnExit);
    void controls.exited.then(() => process.off('exit', endOnExit));
    const readLog = async () => (await readFile(logPath)).subarray(logStart).toString('utf8');
    return { ...controls, readLog };
  } finally {
    await log.close();
  }
}

function createControls(
  child: ChildProcess,
  pid: number,
  { cluster: { dataDir }, pgCtl }: ServerPlan,
): Omit<Server, 'readLog'> {
  const location: ServerLocation = { dataDir, pgCtl };
  const exited = new Promise<Exit>((done) => {
    child.once('exit', (code, signal) => done({ code, signal }));
  });
  // A failed signal is an 'error' event too; the process is watched instead.
  child.on('error', () => undefined);
  const hasExited = () => child.exitCode !== null || child.signalCode !== null;
  // After the exit the folder may belong to a later server, which is none of this one's business.
  const list = () => (hasExited() ? [] : listServerProcesses(dataDir, pid));
  return {
    pid,
    exited,
    signal: (signal) => signalProcesses(location, list(), pid, signal),
    end: async () => {
      if (hasExited()) return;
      // Else this process could run out of work, and exit, before it hears of the server's exit.
      child.ref();
      await endProcesses(location, list(), pid);
      await exited;
    },
  };
}

function serverArguments({ cluster, port, settings }: ServerPlan): string[] {
  const all: Record<string, string> = {
    ...DURABLE_SETTINGS,
    ...settings,
    listen_addresses: '127.0.0.1',
    port: String(port),
    // A socket's path is limited to 107 bytes, which a deep checkout exceeds.
    unix_socket_directories: '',
    logging_collector: 'off',
    log_destination: 'stderr',
    [PARENT_SETTING]: String(process.pid),
  };
  const pairs = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', dataArgument(cluster.dataDir), ...pairs];
}

async function spawnFailure(child: ChildProcess, plan: ServerPlan): Promise<EmbeddedPostgresError> {
  const cause = await new Promise<Error>((done) => child.once('error', done));
  const user = plan.account === undefined ? '' : ` as uid ${plan.account.uid}`;
  return new EmbeddedPostgresError(
    `PostgreSQL cannot be run${user} (${cause.message}): check that ${plan.postgres} may run here.`,
    { cause },
  );
}

/** Opens the log for appending; one of more than 10 MiB becomes `server.log.1` first. */
async function openLog(path: string, directory: string): Promise<FileHandle> {
  const present = await statIfPresent(path);
  if (present !== undefined && present.size > LOG_LIMIT_BYTES) await rename(path, `${path}.1`);
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW = 0 } = constants;
  const log = await open(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
  if (process.geteuid?.() === 0) {
    const owner = await stat(directory);
    await log.chown(owner.uid, owner.gid);
  }
  return log;
}

/**
 * Resolves when `select 1` has an answer. As long as the server says that it is starting up
 * (recovery after a crash), the 60 s begin anew.
 *
 * @throws EmbeddedPostgresError with the end of the log, when the server ends or gives no answer
 */
export async function waitUntilReady(server: Server, plan: ServerPlan): Promise<void> {
  let exit: Exit | undefined;
  void server.exited.then((seen) => {
    exit = seen;
  });
  const address = { port: plan.port, password: plan.cluster.password };
  let deadlineMs = performance.now() + READY_TIMEOUT_MS;
  let lastFailure: unknown;
  while (performance.now() < deadlineMs) {
    if (exit !== undefined) throw await startFailure(server, plan, describeExit(exit));
    const answer = withClient(address, (client) => client.query('select 1')).then(
      () => true,
      (error: unknown) => {
        lastFailure = error;
        return false;
      },
    );
    // What has taken the port may keep silent, and must not hide for 5 s that the server has ended.
    if ((await Promise.race([answer, server.exited])) === true) return;
    if (errorCode(lastFailure) === '57P03') deadlineMs = performance.now() + READY_TIMEOUT_MS;
    await Promise.race([server.exited, delay(READY_INTERVAL_MS)]);
  }
  const reason = lastFailure instanceof Error ? lastFailure.message : String(lastFailure);
  throw await startFailure(server, plan, `gave no answer for 60 s (${reason})`);
}

const describeExit = ({ code, signal }: Exit) =>
  `ended while it started (${signal ?? `code ${code}`})`;

async function startFailure(
  server: Server,
  { directory }: ServerPlan,
  event: string,
): Promise<EmbeddedPostgresError> {
  const lines = (await server.readLog()).trimEnd().split('\n').slice(-LOG_TAIL_LINES);
  const reason = lines.findLast((line) => /FATAL|PANIC/.test(line)) ?? lines.at(-1) ?? '';
  return new EmbeddedPostgresError(
    `PostgreSQL in ${directory} ${event}: ${reason} (more in its server.log)`,
    { serverLog: lines.join('\n') },
  );
}
