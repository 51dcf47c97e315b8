import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createWorkspaceStore } from '../../src/workspaces/index.ts';
import { runBenchServer } from './bench-server.ts';
import { appendInTransaction } from './transaction.ts';
import { createUngatheredEvents } from './ungathered-events.ts';

/** The service without gathering: each create is a transaction of its own. */
await runBenchServer((database) => (router) => {
  const events = createUngatheredEvents(createWorkspaceStore(database), (event) =>
    appendInTransaction(database, event),
  );
  router.service(EventsService, events);
});
