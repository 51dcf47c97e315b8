import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { findFreePort } from '../../src/embedded-postgres/index.ts';
import { toolCache } from '../toolchains/tool-cache.ts';

/** 1.21 is the first that keeps prepared statements in transaction mode. */
const keepsStatementsFrom = 1_021;

/** Debian puts it where an ordinary user's PATH does not lead; `test/toolchains/pgbouncer.sh` builds one. */
const built = join(await toolCache('pgbouncer'), 'pgbouncer');
const programs = ['pgbouncer', '/usr/sbin/pgbouncer', built].flatMap((path) => {
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  return status === 0 ? [{ path, version: Number(major) * 1_000 + Number(minor) }] : [];
});

/** The programs that are at hand, by what they can do. */
export const oldPgBouncer = programs.find(({ version }) => version < keepsStatementsFrom)?.path;
export const newPgBouncer = programs.find(({ version }) => version >= keepsStatementsFrom)?.path;
export const anyPgBouncer = oldPgBouncer ?? newPgBouncer;

export interface PgBouncer {
  /** The database by way of PgBouncer. */
  readonly url: string;
  /** Has every session end once it is free, as an operator does in its console. */
  reconnect(): Promise<void>;
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** @param settings beside those that every test needs, or in their place. */
export async function startPgBouncer(
  program: string,
  databaseUrl: string,
  settings: Record<string, string>,
): Promise<PgBouncer> {
  const directory = await mkdtemp(join(tmpdir(), 'harbor-pgbouncer-'));
  // As root it gives up its rights, and reads its files as somebody else.
  await chmod(directory, 0o755);
  const target = new URL(databaseUrl);
  const port = await findFreePort();
  const user = decodeURIComponent(target.username);
  const lines = {
    listen_addr: '127.0.0.1',
    listen_port: `${port}`,
    unix_socket_dir: '',
    auth_type: 'plain',
    auth_file: join(directory, 'users.txt'),
    admin_users: user,
    ignore_startup_parameters: 'lock_timeout,statement_timeout,idle_in_transaction_session_timeout',
    ...settings,
  };
  const config = join(directory, 'pgbouncer.ini');
  const written = Object.entries(lines).map(([name, value]) => `${name} = ${value}\n`);
  await writeFile(
    config,
    `[databases]\n* = host=${target.hostname} port=${target.port}\n[pgbouncer]\n${written.join('')}`,
  );
  await writeFile(lines.auth_file, `"${user}" "${decodeURIComponent(target.password)}"\n`);
  const asRoot = process.geteuid?.() === 0 ? ['-u', 'nobody'] : [];

  let child: ChildProcess | undefined;
  async function start(): Promise<void> {
    child = spawn(program, [...asRoot, config], { stdio: 'ignore' });
    await untilOpen(child, port);
  }
  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  await start();
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = `${port}`;
  return {
    url: url.href,
    async reconnect() {
      const console = new pg.Client({ ...connectionOf(url), database: 'pgbouncer' });
      await console.connect();
      await console.query('reconnect');
      await console.end();
    },
    kill,
    start,
    async stop() {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function connectionOf({ hostname: host, port, username, password }: URL): pg.ClientConfig {
  return {
    host,
    port: Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  };
}

async function untilOpen(child: ChildProcess, port: number): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error('pgbouncer ended before it listened');
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      // Not yet.
    } finally {
      socket.destroy();
    }
  }
}
