import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../src/embedded-postgres/index.ts';

/** A server under test, in a process of its own on a free port of this machine. */
export interface ServerProcess {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/** The servers there are: the service as it is shipped, and what it is measured against. */
const entries = {
  service: '../src/main.ts',
  'no-op': 'servers/no-op.ts',
  'bare http2': 'servers/bare-http2.ts',
  'pages of messages': 'servers/pages-of-messages.ts',
  'transaction per create': 'servers/transaction-per-create.ts',
  'statement per create': 'servers/statement-per-create.ts',
  'service, a fresh process': '../src/main.ts',
  'service, another fresh process': '../src/main.ts',
  'service with metrics': '../src/main.ts',
  'service that logs errors': '../src/main.ts',
};
export type ServerName = keyof typeof entries;

/** What some of them are told beside what all are. */
const environments: Partial<Record<ServerName, Record<string, string>>> = {
  'service with metrics': { METRICS_PORT: '0' },
  'service that logs errors': { LOG_CALLS: 'errors' },
};

const readyMsMax = 30_000;
const stopMsMax = 10_000;

/**
 * Starts a server and resolves when it answers. Its log goes nowhere, but is written: at `info`, the
 * service's default, which is a line a call.
 */
export async function startServer(
  name: ServerName,
  env: Record<string, string>,
): Promise<ServerProcess> {
  const port = await findFreePort();
  const child = spawn(process.execPath, [join(import.meta.dirname, entries[name])], {
    env: {
      PATH: process.env.PATH,
      LOG_LEVEL: 'info',
      ...environments[name],
      ...env,
      PORT: `${port}`,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
    // Ctrl-C is for the bench, which ends its servers in order.
    detached: true,
  });
  const exited = once(child, 'exit');
  const server = {
    pid: child.pid as number,
    port,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
      await exited;
      clearTimeout(timer);
    },
  };
  try {
    const ended = exited.then(() => Promise.reject(new Error(`the server "${name}" has ended`)));
    await Promise.race([answers(port), ended]);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function answers(port: number): Promise<void> {
  const giveUpAt = performance.now() + readyMsMax;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok === true) return;
    if (performance.now() > giveUpAt) throw new Error(`port ${port} does not answer`);
    await delay(50);
  }
}
