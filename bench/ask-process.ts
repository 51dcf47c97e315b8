import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/**
 * Sends a job to a forked process and resolves with the result that it answers.
 *
 * @throws when the job fails, the process ends, or it takes longer than `msMax`.
 */
export async function askProcess<Job extends object, Result>(
  child: ChildProcess,
  job: Job,
  msMax: number,
): Promise<Result> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, AbortSignal.timeout(msMax)]);
  try {
    const replied = once(child, 'message', { signal });
    const ended = once(child, 'exit', { signal }).then(() => [
      { failure: 'the process that was asked has ended' },
    ]);
    ended.catch(() => undefined);
    child.send(job);
    const [reply] = (await Promise.race([replied, ended])) as [
      { result: Result } | { failure: string },
    ];
    if ('failure' in reply) throw new Error(reply.failure);
    return reply.result;
  } finally {
    over.abort();
  }
}
