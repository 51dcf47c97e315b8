import { on } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { findFreePort, startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { seedDatabase } from '../support/log-checker/seed.ts';
import { type ServiceProcess, startServiceProcess } from '../support/service-process.ts';

export const workspaceId = 'ws_proxied';

/** Two processes of the service on one database, each to be restarted on its port. */
export interface Services extends AsyncDisposable {
  readonly ports: readonly [number, number];
  readonly secretKey: string;
  /** Resolves when from now on calls with all of these ids have come to each of the two. */
  called(requestIds: readonly string[]): Promise<void>;
  /** SIGTERM, the end, and a new start, as in an upgrade. */
  restart(which: 0 | 1): Promise<void>;
}

export async function startServices(): Promise<Services> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'harbor-proxied-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({ directory, database: 'harbor', settings: {} });
  started.defer(() => postgres.stop());
  const secretKey = await seedDatabase(postgres.url, workspaceId);
  const ports = [await findFreePort(), await findFreePort()] as const;
  const start = (port: number) =>
    startServiceProcess(postgres.url, { PORT: `${port}`, LOG_LEVEL: 'info' });
  const running: [ServiceProcess, ServiceProcess] = [await start(ports[0]), await start(ports[1])];
  started.defer(async () => {
    await Promise.all(running.map((service) => service.kill('SIGTERM')));
  });
  const cleanup = started.move();
  return {
    ports,
    secretKey,
    async called(requestIds) {
      await Promise.all(running.map((service) => untilCalled(service, requestIds)));
    },
    async restart(which) {
      await running[which].kill('SIGTERM');
      const { code } = await running[which].ended;
      if (code !== 0) throw new Error(`a process of the service ended with ${code}`);
      running[which] = await start(ports[which]);
    },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

/** Each call is a line of the log. */
async function untilCalled({ child }: ServiceProcess, ids: readonly string[]): Promise<void> {
  let text = '';
  for await (const [chunk] of on(child.stdout as Readable, 'data')) {
    text += chunk;
    if (ids.every((id) => text.includes(`"${id}"`))) return;
  }
}
