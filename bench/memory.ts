import { toJob } from './compare-servers.ts';
import { readRssBytes } from './process-facts.ts';
import { formatCount, type Report } from './report.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

const warmUpCreates = 50_000;
const warmUpMsMax = 20_000;
const measuredCreates = 200_000;
/** Parts of the measured creates, between which the memory is read. */
const parts = 10;
/** Enough at 1,700 creates a second; a machine that is slower than that measures fewer, and says so. */
const msMax = 120_000;
const growthMegabytesMax = 50;

/** The service's memory before and after 200,000 creates, in a process that nothing else was asked of. */
export async function benchMemory(stage: Stage): Promise<Report> {
  const { pid, port } = await stage.freshServer('service');
  const calls = { rpc: 'CreateEvent', wire: 'grpc', workspaceIds } as const;
  const create = async (callsMax: number, ms: number): Promise<number> => {
    const job = toJob(stage, port, calls, { msMax: ms, callsMax });
    return (await stage.load.run(job)).answered;
  };
  const read = () => (readRssBytes(pid) ?? Number.NaN) / 1024 ** 2;

  const started = read();
  const warmedUp = await create(warmUpCreates, warmUpMsMax);
  const before = read();
  let created = 0;
  let peak = before;
  for (let part = 0; part < parts; part++) {
    created += await create(measuredCreates / parts, msMax / parts);
    peak = Math.max(peak, read());
  }
  const after = read();
  const growth = after - before;
  return {
    title: `Memory of the service (resident, MB) over ${formatCount(created)} creates`,
    table: [
      ['', 'started', `after ${formatCount(warmedUp)}`, 'peak from there on', 'after all'],
      ['service', ...[started, before, peak, after].map((megabytes) => megabytes.toFixed(0))],
    ],
    aims: [
      {
        what: `growth over ${formatCount(created)} of ${formatCount(measuredCreates)} creates, MB`,
        measured: growth.toFixed(0),
        aim: `≤ ${growthMegabytesMax}`,
        met: created >= measuredCreates && growth <= growthMegabytesMax,
      },
    ],
  };
}
