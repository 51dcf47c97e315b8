import type { Percentiles } from '../log/stream-job.ts';
import { startHooks } from './hooks.ts';
import type { Place } from './place.ts';

export const createsPerSecond = 50;
const events = 1_000;

/** From the answer to a create to the arrival of its webhook, at an even rate. */
export async function measureLatency(place: Place): Promise<Percentiles> {
  await using hooks = startHooks();
  const { port } = await hooks.run({ kind: 'listen' }, 10_000);
  const workspaceId = await place.addWorkspace();
  const endpoints = await place.addEndpoints(workspaceId, port, 1);
  const measure = (count: number) =>
    hooks.run(
      {
        kind: 'latency',
        target: place.target(workspaceId),
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
