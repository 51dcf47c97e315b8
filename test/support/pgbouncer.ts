import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../../src/embedded-postgres/index.ts';

/** The program, where it is installed; Debian puts it where an ordinary user's PATH does not lead. */
export const pgBouncerProgram = ['pgbouncer', '/usr/sbin/pgbouncer'].find(
  (program) => spawnSync(program, ['--version']).status === 0,
);

export interface PgBouncer {
  /** The database by way of PgBouncer. */
  readonly url: string;
  stop(): Promise<void>;
}

export async function startPgBouncer(
  databaseUrl: string,
  settings: Record<string, string>,
): Promise<PgBouncer> {
  const directory = await mkdtemp(join(tmpdir(), 'harbor-pgbouncer-'));
  // As root it gives up its rights, and reads its files as somebody else.
  await chmod(directory, 0o755);
  const target = new URL(databaseUrl);
  const port = await findFreePort();
  const lines = {
    listen_addr: '127.0.0.1',
    listen_port: `${port}`,
    unix_socket_dir: '',
    auth_type: 'plain',
    auth_file: join(directory, 'users.txt'),
    ignore_startup_parameters: 'lock_timeout,statement_timeout,idle_in_transaction_session_timeout',
    ...settings,
  };
  const config = join(directory, 'pgbouncer.ini');
  await writeFile(
    config,
    `[databases]\n* = host=${target.hostname} port=${target.port}\n[pgbouncer]\n${Object.entries(
      lines,
    )
      .map(([name, value]) => `${name} = ${value}\n`)
      .join('')}`,
  );
  await writeFile(
    lines.auth_file,
    `"${decodeURIComponent(target.username)}" "${decodeURIComponent(target.password)}"\n`,
  );
  const asRoot = process.geteuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn(pgBouncerProgram as string, [...asRoot, config], { stdio: 'ignore' });
  await untilOpen(child, port);
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = `${port}`;
  return {
    url: url.href,
    async stop() {
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      await rm(directory, { recursive: true, force: true });
    },
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
