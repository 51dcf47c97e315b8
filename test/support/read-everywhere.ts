import type { Event } from '../../gen/typescript/harbor/events/v1/event_pb.ts';
import { createEventsClient } from './clients.ts';
import { subscribeTo } from './subscriber.ts';
import type { TestService } from './test-service.ts';

/** The same event by each RPC that answers events which are there: a list, a retrieve, and a stream. */
export async function readEverywhere(
  service: TestService,
  { id, workspaceId, sequence }: Event,
): Promise<Event[]> {
  const client = createEventsClient(service, 'connect json');
  const from = { workspaceId, afterSequence: sequence - 1n };
  const subscriber = subscribeTo(client, from);
  const [first] = await subscriber.events(1);
  await subscriber.leave();
  const listed = await client.listEvents({ ...from, pageSize: 1 });
  const retrieved = await client.retrieveEvent({ id });
  const streamed = first?.message.case === 'event' ? first.message.value : undefined;
  return [listed.events[0], retrieved.event, streamed].filter((event) => event !== undefined);
}
