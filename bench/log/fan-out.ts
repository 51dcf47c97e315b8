import { withCpuTime } from '../process-facts.ts';
import type { Stage } from '../stage.ts';
import { workspaceIds } from '../workload.ts';
import type { Readers } from './readers.ts';

export const followers = 200;
const events = 2_000;
const [, workspaceId = ''] = workspaceIds;

export interface FanOut {
  /** Messages that reached their subscribers, a second, all together. */
  readonly perSecond: number;
  /** CPU time of the service a message that was delivered, with the batch creates. */
  readonly serverCpuUs: number | undefined;
}

/** Many subscribers of one workspace, over gRPC, while its events are created in batches. */
export async function measureFanOut(stage: Stage, readers: Readers): Promise<FanOut> {
  const { pid, port } = await stage.server('service');
  const { secretKey } = stage;
  const job = { kind: 'fan out', port, secretKey, workspaceId, followers } as const;
  await readers.run({ ...job, events: events / 4 }, 60_000);
  const { result, cpuUs } = await withCpuTime(
    pid,
    () => readers.run({ ...job, events }, 120_000),
    () => events * followers,
  );
  return { perSecond: result.perSecond, serverCpuUs: cpuUs };
}
