import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createEventStore } from '../../src/events/index.ts';
import { createWorkspaceStore } from '../../src/workspaces/index.ts';
import { runBenchServer } from './bench-server.ts';
import { createUngatheredEvents } from './ungathered-events.ts';

/** The service without gathering, but with its append statement: one round trip and commit a create. */
await runBenchServer((database) => (router) => {
  const store = createEventStore(database.statements);
  const events = createUngatheredEvents(createWorkspaceStore(database), async (event) => {
    const [row] = await store.append([event], [1], { lockMsMax: 1_000, timeoutMs: 10_000 });
    if (row?.kind !== 'created') throw new Error('the bench sends each idempotency key once');
    return { event: row.event, replayed: false, idempotencyKeyExpiresAt: row.expiresAt };
  });
  router.service(EventsService, events);
});
