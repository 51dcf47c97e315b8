import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { askProcess } from '../ask-process.ts';
import type { StreamJob, StreamResult } from './stream-job.ts';

/** A process of readers, apart from the service that they read from. */
export interface Readers extends AsyncDisposable {
  /** @throws when a stream fails, the process ends, or it takes longer than `msMax`. */
  run<Kind extends StreamJob['kind']>(
    job: StreamJob & { kind: Kind },
    msMax: number,
  ): Promise<StreamResult & { kind: Kind }>;
}

export function startReaders(): Readers {
  const child = fork(join(import.meta.dirname, 'stream-process.ts'), { execArgv: [] });
  const exited = once(child, 'exit');
  return {
    run: (job, msMax) => askProcess(child, job, msMax),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
