import { toJob } from '../compare-servers.ts';
import { formatCount, type Report } from '../report.ts';
import type { Stage } from '../stage.ts';
import { workspaceIds } from '../workload.ts';
import { startFlood } from './flood.ts';

const floodPerSecond = 4_000;
const measuredMs = 8_000;
const inFlight = 4;

/** A good caller's creates while others flood the service with keys that nobody has. */
export async function benchKeyFlood(stage: Stage): Promise<Report> {
  const { port } = await stage.freshServer('service');
  const calls = { rpc: 'CreateEvent', wire: 'grpc', workspaceIds } as const;
  const measure = async () => {
    const job = {
      ...toJob(stage, port, calls, { msMax: measuredMs, callsMax: 1_000_000 }),
      inFlight,
      sessions: 1,
    };
    const { perSecond, p50Ms, p99Ms } = await stage.load.run(job);
    return [formatCount(perSecond), p50Ms.toFixed(1), p99Ms.toFixed(1)];
  };
  const flooded = async (wellFormed: boolean) => {
    const flood = startFlood({ port, perSecond: floodPerSecond, wellFormed });
    const measured = await measure();
    return [formatCount(await flood.stop()), ...measured];
  };
  await measure();
  return {
    title: `CreateEvent of a good caller, ${inFlight} in flight, while others send keys that nobody has`,
    table: [
      ['keys of the others', 'refused a second', 'creates a second', 'p50 ms', 'p99 ms'],
      ['none', '0', ...(await measure())],
      ['with bad checksums', ...(await flooded(false))],
      ['with valid checksums', ...(await flooded(true))],
    ],
    aims: [],
  };
}
