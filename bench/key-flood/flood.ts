import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Flood {
  readonly port: number;
  readonly perSecond: number;
  /** With a checksum that fits, so that only the database can tell that nobody has the key. */
  readonly wellFormed: boolean;
}

/** Calls with random keys in a process of its own; `stop` says how many were answered. */
export function startFlood(flood: Flood): {
  stop(): Promise<{ answered: number; perSecond: number }>;
} {
  const child = fork(join(import.meta.dirname, 'flood-process.ts'), { execArgv: [] });
  const exited = once(child, 'exit');
  child.send(flood);
  return {
    async stop() {
      const replied = once(child, 'message');
      child.send('stop');
      const [{ answered, ms }] = await replied;
      child.kill('SIGKILL');
      await exited;
      return { answered, perSecond: (answered * 1000) / ms };
    },
  };
}
