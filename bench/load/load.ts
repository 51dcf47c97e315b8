import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LoadJob, LoadReply, LoadResult } from './job.ts';

/** A load generator in a process of its own, kept for all jobs so that its code is warm. */
export interface Load {
  /** @throws when a call fails, or the process ends. */
  run(job: LoadJob): Promise<LoadResult>;
  stop(): Promise<void>;
}

/** Beyond a job's own time: for connections, calls that are still in flight, and a busy machine. */
const replyGraceMs = 20_000;

export function startLoad(): Load {
  const child = fork(join(import.meta.dirname, 'load-process.ts'), { execArgv: [] });
  const exited = once(child, 'exit');
  return {
    async run(job) {
      const over = new AbortController();
      const signal = AbortSignal.any([over.signal, AbortSignal.timeout(job.msMax + replyGraceMs)]);
      try {
        const replied = once(child, 'message', { signal });
        child.send(job);
        const ended = exited.then(() => [{ failure: 'the load process has ended' }]);
        const [reply] = (await Promise.race([replied, ended])) as [LoadReply];
        if ('failure' in reply) throw new Error(reply.failure);
        return reply.result;
      } finally {
        over.abort();
      }
    },
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
