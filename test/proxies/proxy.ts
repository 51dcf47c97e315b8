import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../../src/embedded-postgres/index.ts';
import type { Edits, Place, ProxyProgram } from './programs.ts';

const root = resolve(import.meta.dirname, '../..');

/** A proxy that runs with its configuration of docs/proxies, in front of two processes. */
export interface RunningProxy extends AsyncDisposable {
  readonly name: string;
  readonly baseUrl: string;
  /** The end of what it has said. */
  readonly said: string;
}

export async function startProxy(
  program: ProxyProgram,
  command: string,
  servicePorts: readonly [number, number],
): Promise<RunningProxy> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'harbor-proxy-'));
  started.defer(() => rm(folder, { recursive: true, force: true }));
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(root, 'test/support/tls', name));
  await copyFile(cert as string, join(folder, 'cert.pem'));
  await copyFile(key as string, join(folder, 'key.pem'));
  const both = await Promise.all([cert, key].map((file) => readFile(file as string, 'utf8')));
  await writeFile(join(folder, 'both.pem'), both.join('\n'));

  const place: Place = { port: await findFreePort(), servicePorts, folder };
  const written = await readFile(join(root, 'docs/proxies', program.configuration), 'utf8');
  const path = join(folder, program.configuration);
  await writeFile(path, edit(written, program.edits(place)));
  const { args, files = {} } = program.start(path, place);
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);

  const lines: string[] = [];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      lines.push(...chunk.toString().split('\n').filter(Boolean));
      lines.splice(0, lines.length - 400);
    });
  }
  started.defer(() => end(child));
  await untilOpen(child, place.port, lines);
  const cleanup = started.move();
  return {
    name: program.name,
    baseUrl: `https://127.0.0.1:${place.port}`,
    get said() {
      return lines.join('\n');
    },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

/** @throws when something is not there: then the configuration is not the one that was meant. */
function edit(text: string, edits: Edits): string {
  return edits.reduce((edited, [from, to]) => {
    if (!edited.includes(from)) throw new Error(`the configuration has no "${from}"`);
    return edited.replaceAll(from, to);
  }, text);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

async function untilOpen(child: ChildProcess, port: number, lines: string[]): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`it ended:\n${lines.join('\n')}`);
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await delay(20);
    } finally {
      socket.destroy();
    }
  }
}
