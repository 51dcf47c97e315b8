import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { EmbeddedPostgres } from '../src/embedded-postgres/index.ts';
import { EmbeddedPostgresError, startEmbeddedPostgres } from '../src/embedded-postgres/index.ts';

interface PgClient {
  connect(): Promise<void>;
  query(text: string): Promise<{ rows: Record<string, unknown>[] }>;
  end(): Promise<void>;
}
const { Client } = createRequire(import.meta.url)('pg') as {
  Client: new (url: string) => PgClient;
};

const TEST_TIMEOUT_MS = 60_000;
const MODULE_URL = new URL('../src/embedded-postgres/index.ts', import.meta.url).href;
const isRoot = process.getuid?.() === 0;
const isLinux = process.platform === 'linux';

let root: string;
let directory: string;
let servers: EmbeddedPostgres[];
let processes: ChildProcess[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'harbor-postgres-'));
  directory = join(root, '.harbor', 'postgres');
  servers = [];
  processes = [];
});

afterEach(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(servers.map((server) => server.stop()));
  await rm(root, { recursive: true, force: true });
}, TEST_TIMEOUT_MS);

async function start(options: { port?: number; settings?: Record<string, string> } = {}) {
  const settings = { fsync: 'off', ...options.settings };
  const server = await startEmbeddedPostgres({
    ...options,
    directory,
    database: 'harbor',
    settings,
  });
  servers.push(server);
  return server;
}

async function query(url: string, text: string) {
  const client = new Client(url);
  await client.connect();
  const { rows } = await client.query(text).finally(() => client.end());
  return rows;
}

/** A service of its own that starts PostgreSQL in `directory`, prints the handle and lives on. */
function spawnService() {
  const code = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(MODULE_URL)});
    const { url, pid } = await startEmbeddedPostgres({
      directory: ${JSON.stringify(directory)}, database: 'harbor', settings: { fsync: 'off' },
    });
    console.log(JSON.stringify({ url, pid }));
    setInterval(() => {}, 60_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  processes.push(child);
  const ready = async () => {
    if (child.stdout === null) throw new Error('the service has no output');
    const [line] = await once(createInterface(child.stdout), 'line');
    return JSON.parse(String(line)) as { url: string; pid: number };
  };
  return { child, ready };
}

const portOf = (url: string) => Number(new URL(url).port);

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function listenOn(port: number) {
  const listener = createServer();
  listener.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  return listener;
}

test(
  'data and port survive stop and start',
  async () => {
    const first = await start();
    await query(first.url, 'create table kept as select 42 as answer');
    await first.stop();
    expect(await first.exited).toEqual({ code: 0, signal: null });

    const second = await start();
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    expect(portOf(second.url)).toBe(portOf(first.url));
  },
  TEST_TIMEOUT_MS,
);

test(
  'the server is durable by default, listens on 127.0.0.1 only, and is private to its owner',
  async () => {
    const server = await startEmbeddedPostgres({ directory, database: 'it is "odd" ä' });
    servers.push(server);
    const show = async (name: string) =>
      (await query(server.url, `show ${name}`)).flatMap((row) => Object.values(row));
    expect(await show('fsync')).toEqual(['on']);
    expect(await show('synchronous_commit')).toEqual(['on']);
    expect(await show('listen_addresses')).toEqual(['127.0.0.1']);
    expect(await show('unix_socket_directories')).toEqual(['']);
    expect(await show('password_encryption')).toEqual(['scram-sha-256']);
    expect(await query(server.url, 'select current_database() as name')).toEqual([
      { name: 'it is "odd" ä' },
    ]);
    expect((await stat(join(directory, 'cluster', 'password'))).mode & 0o777).toBe(0o600);
    await expect(query(server.url.replace(/:[^:@]+@/, ':wrong@'), 'select 1')).rejects.toThrow(
      'password authentication failed',
    );
  },
  TEST_TIMEOUT_MS,
);

test(
  'what a service killed with SIGKILL leaves running is ended, and its data is there',
  async () => {
    const service = spawnService();
    const leftover = await service.ready();
    await query(leftover.url, 'create table kept as select 42 as answer');
    service.child.kill('SIGKILL');
    await once(service.child, 'exit');
    expect(isRunning(leftover.pid)).toBe(true);

    const server = await start();
    // The system removes the ended process from its table a moment later.
    await vi.waitFor(() => expect(isRunning(leftover.pid)).toBe(false), { timeout: 10_000 });
    expect(await query(server.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
  },
  TEST_TIMEOUT_MS,
);

test(
  'a folder that a living service uses is refused by its process id, and that service goes on',
  async () => {
    const service = spawnService();
    const used = await service.ready();
    await expect(start()).rejects.toThrow(
      `running in this folder already, as process ${service.child.pid}`,
    );
    expect(await query(used.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    service.child.kill('SIGKILL');
    await once(service.child, 'exit');
    await start();
  },
  TEST_TIMEOUT_MS,
);

test(
  'a service that exits without stop takes its server along',
  async () => {
    const code = `
      const { startEmbeddedPostgres } = await import(${JSON.stringify(MODULE_URL)});
      const { pid } = await startEmbeddedPostgres({
        directory: ${JSON.stringify(directory)}, database: 'harbor', settings: { fsync: 'off' },
      });
      console.log(pid);
      process.exit(1);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    processes.push(child);
    const [line] = await once(createInterface(child.stdout), 'line');
    await vi.waitFor(() => expect(isRunning(Number(line))).toBe(false), { timeout: 10_000 });
  },
  TEST_TIMEOUT_MS,
);

test(
  'stop resolves when the server has already died, and leaves a later server alone',
  async () => {
    const first = await start();
    process.kill(first.pid, 'SIGKILL');
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await first.stop();

    const second = await start();
    await Promise.all([first.stop(), first.stop()]);
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  },
  TEST_TIMEOUT_MS,
);

test(
  'a start right after kill, on the same port, has all that was committed',
  async () => {
    const first = await start({ settings: { fsync: 'on' } });
    await query(first.url, 'create table kept as select 42 as answer');
    first.kill();
    const second = await start({ port: portOf(first.url) });
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    expect(portOf(second.url)).toBe(portOf(first.url));
  },
  TEST_TIMEOUT_MS,
);

test(
  'an initdb that was killed half-way does not keep the next start from working',
  async () => {
    const service = spawnService();
    await vi.waitFor(
      async () => {
        const [partial] = await readdir(directory);
        expect(partial).toMatch(/^cluster-partial-/);
        expect(existsSync(join(directory, String(partial), 'data', 'PG_VERSION'))).toBe(true);
      },
      { timeout: 20_000, interval: 2 },
    );
    // The whole group: the service, initdb and what initdb runs.
    process.kill(-Number(service.child.pid), 'SIGKILL');
    await once(service.child, 'exit');
    expect(existsSync(join(directory, 'cluster'))).toBe(false);

    const server = await start();
    expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect((await readdir(directory)).sort()).toEqual(['cluster', 'server.log']);
  },
  TEST_TIMEOUT_MS,
);

// The rule about such numbers is that of Unix processes; nothing of it was tried on Windows.
test.runIf(isLinux || process.platform === 'darwin')(
  'a stale pid file whose number now belongs to a foreign process is ignored',
  async () => {
    const first = await start();
    const pidFile = join(directory, 'cluster', 'data', 'postmaster.pid');
    const lines = (await readFile(pidFile, 'utf8')).split('\n');
    await first.stop();
    // Of the same user, for PostgreSQL takes the process of another user as stale anyway.
    const { uid, gid } = await stat(join(directory, 'cluster', 'data'));
    const foreign = spawn('sleep', ['600'], isRoot ? { uid, gid } : {});
    processes.push(foreign);
    await writeFile(pidFile, [foreign.pid, ...lines.slice(1)].join('\n'));

    const second = await start();
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(isRunning(Number(foreign.pid))).toBe(true);
  },
  TEST_TIMEOUT_MS,
);

test(
  'a taken port is replaced by a free one, and a taken fixed port is named',
  async () => {
    const first = await start();
    const port = portOf(first.url);
    await first.stop();
    const listener = await listenOn(port);
    try {
      const moved = await start();
      expect(portOf(moved.url)).not.toBe(port);
      await moved.stop();
      await expect(start({ port })).rejects.toThrow(`Port ${port} of 127.0.0.1 is taken`);
    } finally {
      listener.close();
    }
  },
  TEST_TIMEOUT_MS,
);

test(
  'a server that ends while it starts is reported at once, with the end of its log',
  async () => {
    const failure = await start({ settings: { max_connections: 'many' } }).catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(EmbeddedPostgresError);
    const { message, serverLog } = failure as EmbeddedPostgresError;
    expect(message).toContain('invalid value for parameter "max_connections": "many"');
    expect(message).not.toContain('\n');
    expect(serverLog).toContain('max_connections');
    await start({ settings: { max_connections: '20' } });
  },
  TEST_TIMEOUT_MS,
);

test(
  'two services that start at once on an empty folder make one cluster, and one of them serves',
  async () => {
    const results = await Promise.allSettled([start(), start()]);
    const failures = results.filter((result) => result.status === 'rejected');
    expect(failures.every(({ reason }) => reason instanceof EmbeddedPostgresError)).toBe(true);
    const answers = await Promise.all(servers.map(({ url }) => query(url, 'select 1 as one')));
    expect(answers).toEqual([[{ one: 1 }]]);
  },
  TEST_TIMEOUT_MS,
);

// Only root can be shut out of its own folder: the server then runs as another user.
test.runIf(isRoot && isLinux)(
  'root can use a folder below one that only root can enter',
  async () => {
    const closed = join(root, 'closed');
    await mkdir(closed);
    await chmod(closed, 0o700);
    directory = join(closed, 'x', '.harbor', 'postgres');
    const server = await start();
    expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    const { uid } = await stat(join(directory, 'cluster', 'data'));
    expect(uid).not.toBe(0);
    expect((await stat(`/proc/${server.pid}`)).uid).toBe(uid);
    expect((await stat(directory)).uid).toBe(0);
  },
  TEST_TIMEOUT_MS,
);
