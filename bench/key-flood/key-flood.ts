import { toJob } from '../compare-servers.ts';
import type { LoadResult } from '../load/job.ts';
import { withCpuTime } from '../process-facts.ts';
import { formatCount, type Report } from '../report.ts';
import type { Stage } from '../stage.ts';
import { workspaceIds } from '../workload.ts';
import { startFlood } from './flood.ts';

const floodPerSecond = 4_000;
const measuredMs = 8_000;
const inFlight = 4;

/** A good caller's creates while others flood the service with keys that nobody has. */
export async function benchKeyFlood(stage: Stage): Promise<Report> {
  const { pid, port } = await stage.freshServer('service');
  const calls = { rpc: 'CreateEvent', wire: 'grpc', workspaceIds } as const;
  const bounds = { msMax: measuredMs, callsMax: 1_000_000 };
  const create = () =>
    stage.load.run({ ...toJob(stage, port, calls, bounds), inFlight, sessions: 1 });

  async function measure(keys: string, during: () => Promise<During>): Promise<string[]> {
    const { result, cpuUs } = await withCpuTime(pid, during, (one) => one.calls);
    const { refusedPerSecond, created } = result;
    const { perSecond, p50Ms, p99Ms } = created;
    const ofCreates = [perSecond].map(formatCount).concat(p50Ms.toFixed(1), p99Ms.toFixed(1));
    return [keys, formatCount(refusedPerSecond), ...ofCreates, cpuUs?.toFixed(0) ?? 'unknown'];
  }

  const alone = async (): Promise<During> => {
    const created = await create();
    return { refusedPerSecond: 0, created, calls: created.answered };
  };
  const flooded = (wellFormed: boolean) => async (): Promise<During> => {
    const flood = startFlood({ port, perSecond: floodPerSecond, wellFormed });
    const created = await create().catch(async (error) => {
      await flood.stop();
      throw error;
    });
    const { answered, perSecond } = await flood.stop();
    return { refusedPerSecond: perSecond, created, calls: created.answered + answered };
  };

  await create();
  return {
    title: `CreateEvent of a good caller, ${inFlight} in flight, while others send keys that nobody has`,
    table: [
      [
        'keys of the others',
        'refused a second',
        'creates a second',
        'p50 ms',
        'p99 ms',
        'server CPU µs a call',
      ],
      await measure('none', alone),
      await measure('with bad checksums', flooded(false)),
      await measure('with valid checksums', flooded(true)),
    ],
    aims: [],
  };
}

interface During {
  readonly refusedPerSecond: number;
  readonly created: LoadResult;
  /** Creates and refusals together. */
  readonly calls: number;
}
