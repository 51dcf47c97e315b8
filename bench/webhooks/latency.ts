import type { Percentiles } from '../log/stream-job.ts';
import type { Stage } from '../stage.ts';
import { startHooks } from './hooks.ts';
import type { Place } from './place.ts';

export const createsPerSecond = 50;
const events = 1_000;

/** From the answer to a create to the arrival of its webhook: by the process that has created it, or by another one. */
export interface Latency {
  readonly same: Percentiles;
  readonly other: Percentiles;
}

/** At an even rate. */
export async function measureLatency(stage: Stage, place: Place): Promise<Latency> {
  const same = await measureFrom(place, place.server.port);
  const writer = await stage.freshServer('service', { sendsWebhooks: false });
  const other = await measureFrom(place, writer.port);
  await writer.stop();
  return { same, other };
}

async function measureFrom(place: Place, writerPort: number): Promise<Percentiles> {
  await using hooks = startHooks();
  const { port } = await hooks.run({ kind: 'listen' }, 10_000);
  const workspaceId = await place.addWorkspace();
  const endpoints = await place.addEndpoints(workspaceId, port, 1);
  const measure = (count: number) =>
    hooks.run(
      {
        kind: 'latency',
        target: { ...place.target(workspaceId), port: writerPort },
        perSecond: createsPerSecond,
        events: count,
      },
      120_000,
    );
  await measure(events / 5);
  const measured = await measure(events);
  await place.deleteEndpoints(endpoints);
  return measured;
}
