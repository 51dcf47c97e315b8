import { runStreamJob } from './run-stream-job.ts';
import type { StreamJob, StreamReply } from './stream-job.ts';

/** Runs the jobs that its parent sends, one at a time, and ends with it. */
process.on('message', async (job: StreamJob) => {
  const reply: StreamReply = await runStreamJob(job).then(
    (result) => ({ result }),
    (error: unknown) => ({ failure: error instanceof Error ? error.message : String(error) }),
  );
  process.send?.(reply);
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
