import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** In bytes. */
export interface ObservedMemory extends NodeJS.MemoryUsage {
  /** Resident memory of V8's young generation: it grows with what the process does, and is not given back. */
  readonly nursery: number;
}

/** A server in a process whose memory can be asked for. */
export interface ObservedServer extends AsyncDisposable {
  readonly port: number;
  /** After a full collection of garbage. */
  readMemory(): Promise<ObservedMemory>;
}

/** The service, and what Node alone takes for the same streams. */
const entries = { service: 'observed-service.ts', bare: 'observed-bare-streams.ts' };
export type ObservedName = keyof typeof entries;

export async function startObservedServer(
  name: ObservedName,
  databaseUrl: string,
): Promise<ObservedServer> {
  const child = fork(join(import.meta.dirname, '../servers', entries[name]), {
    execArgv: ['--expose-gc'],
    env: { PATH: process.env.PATH, DATABASE_URL: databaseUrl, PORT: '0' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const failed = exited.then(() =>
    Promise.reject(new Error(`the observed server "${name}" has ended`)),
  );
  failed.catch(() => undefined);
  const [port] = await Promise.race([once(child, 'message'), failed]);
  return {
    port,
    async readMemory() {
      const replied = once(child, 'message');
      child.send('memory');
      const [memory] = await Promise.race([replied, failed]);
      return memory;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
