import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { askProcess } from '../ask-process.ts';
import type { HooksJob, HooksResult } from './hooks-job.ts';

/** A process that creates events or receives webhooks, apart from the service. */
export interface Hooks extends AsyncDisposable {
  /** @throws when a call fails, the process ends, or it takes longer than `msMax`. */
  run<Kind extends HooksJob['kind']>(
    job: HooksJob & { kind: Kind },
    msMax: number,
  ): Promise<HooksResult & { kind: Kind }>;
}

export function startHooks(): Hooks {
  const child = fork(join(import.meta.dirname, 'hooks-process.ts'), { execArgv: [] });
  const exited = once(child, 'exit');
  return {
    run: (job, msMax) => askProcess(child, job, msMax),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
