import type { LoadJob, LoadReply } from './job.ts';
import { runLoad } from './run-load.ts';

/** Runs the jobs that its parent sends, one at a time, and ends with it. */
process.on('message', async (job: LoadJob) => {
  const reply: LoadReply = await runLoad(job).then(
    (result) => ({ result }),
    (error: unknown) => ({ failure: error instanceof Error ? error.message : String(error) }),
  );
  process.send?.(reply);
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group; the parent ends this process once it has cleaned up.
process.on('SIGINT', () => undefined);
