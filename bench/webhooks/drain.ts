import { type Hooks, startHooks } from './hooks.ts';
import type { Place } from './place.ts';

export const backlogDeliveries = 50_000;
export const fanOuts = [1, 20, 100] as const;

const msMax = 180_000;

/** Deliveries a second of a backlog, by the count of endpoints that all want each event of it. */
export type Drain = ReadonlyMap<number, number>;

/** One process drains what has gathered while the endpoints were paused. */
export async function measureDrain(place: Place): Promise<Drain> {
  const rates = new Map<number, number>();
  for (const endpoints of fanOuts) {
    await using receiver = startHooks();
    rates.set(endpoints, await drain(place, receiver, endpoints));
  }
  return rates;
}

async function drain(place: Place, receiver: Hooks, count: number): Promise<number> {
  const { port } = await receiver.run({ kind: 'listen' }, msMax);
  const workspaceId = await place.addWorkspace();
  const ids = await place.addEndpoints(workspaceId, port, count);
  await Promise.all(ids.map((id) => place.webhooks.pauseWebhookEndpoint({ id })));
  await place.createEvents(workspaceId, backlogDeliveries / count);
  const beganAt = performance.now();
  await Promise.all(ids.map((id) => place.webhooks.resumeWebhookEndpoint({ id })));
  await receiver.run({ kind: 'await', count: backlogDeliveries }, msMax);
  const seconds = (performance.now() - beganAt) / 1000;
  await place.deleteEndpoints(ids);
  return backlogDeliveries / seconds;
}
