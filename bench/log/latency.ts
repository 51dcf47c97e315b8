import type { Stage } from '../stage.ts';
import { workspaceIds } from '../workload.ts';
import type { Readers } from './readers.ts';
import type { Latencies } from './stream-job.ts';

export const createsPerSecond = 500;
const events = 5_000;
const [workspaceId = ''] = workspaceIds;

/** From a create to a subscriber, of the process that was asked for it and of another one. */
export async function measureLatency(
  stage: Stage,
  readers: Readers,
): Promise<{ sameProcess: Latencies; otherProcess: Latencies }> {
  const { port: writePort } = await stage.server('service');
  const { port: otherPort } = await stage.freshServer('service');
  await settle(stage);
  const measure = (readPort: number, count: number) => {
    const { secretKey } = stage;
    const ports = { writePort, readPort };
    const load = { secretKey, workspaceId, perSecond: createsPerSecond, events: count };
    return readers.run({ kind: 'latency', ...ports, ...load }, 60_000);
  };
  for (const port of [writePort, otherPort]) await measure(port, events / 5);
  return {
    sameProcess: await measure(writePort, events),
    otherProcess: await measure(otherPort, events),
  };
}

/** Writes out what was written before, so that the disk is at rest. */
async function settle({ database }: Stage): Promise<void> {
  const client = await database.connect();
  try {
    await client.query('set statement_timeout = 60000');
    await client.query('checkpoint');
  } finally {
    client.release(true);
  }
}
