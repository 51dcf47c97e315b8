import { create } from '@bufbuild/protobuf';
import {
  EventsService,
  ListEventsResponseSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { PageAnswer } from '../../src/events/event-answers.rpc.ts';
import { toEventQuery } from '../../src/events/event-message.rpc.ts';
import { createEventLogStore } from '../../src/events/index.ts';
import { listEvents } from '../../src/events/log/event-list.ts';
import { openLog } from '../../src/events/log/open-log.rpc.ts';
import { createWorkspaceStore } from '../../src/workspaces/index.ts';
import { runBenchServer } from './bench-server.ts';

/** The service's ListEvents, whose answers are made messages, and written by their codec: every payload is parsed. */
await runBenchServer((database) => (router) => {
  const log = createEventLogStore(database.statements);
  const workspaces = createWorkspaceStore(database);
  router.service(EventsService, {
    async listEvents(request, { values, signal }) {
      const filter = await openLog(workspaces, request, values);
      const page = await listEvents(log, toEventQuery(request, filter), signal);
      return create(ListEventsResponseSchema, new PageAnswer(page));
    },
  });
});
