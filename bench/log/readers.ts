import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { StreamJob, StreamReply, StreamResult } from './stream-job.ts';

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
    run: (job, msMax) => ask(child, job, msMax) as Promise<never>,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Sends a job to a forked process and resolves with the result that it answers. */
async function ask(child: ChildProcess, job: StreamJob, msMax: number): Promise<StreamResult> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, AbortSignal.timeout(msMax)]);
  try {
    const replied = once(child, 'message', { signal });
    const ended = once(child, 'exit', { signal }).then(() => [
      { failure: 'the process of readers has ended' },
    ]);
    ended.catch(() => undefined);
    child.send(job);
    const [reply] = (await Promise.race([replied, ended])) as [StreamReply];
    if ('failure' in reply) throw new Error(reply.failure);
    return reply.result;
  } finally {
    over.abort();
  }
}
