import type { HooksJob, HooksReply } from './hooks-job.ts';
import { runHooksJob } from './run-hooks-job.ts';

/** Runs the jobs that its parent sends, one at a time, and ends with it. */
process.on('message', async (job: HooksJob) => {
  const reply: HooksReply = await runHooksJob(job).then(
    (result) => ({ result }),
    (error: unknown) => ({ failure: error instanceof Error ? error.message : String(error) }),
  );
  process.send?.(reply);
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
