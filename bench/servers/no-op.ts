import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { EventSchema } from '../../gen/typescript/harbor/events/v1/event_pb.ts';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { newEvent, workspaceIds } from '../workload.ts';
import { runBenchServer } from './bench-server.ts';

const event: MessageInitShape<typeof EventSchema> = {
  ...newEvent,
  id: 'evt_01hzy9q7x8f4kq3d2m5n6p7r8s',
  workspaceId: workspaceIds[0] as string,
  createdAt: timestampFromDate(new Date()),
  sequence: 1n,
};
const expiresAt = timestampFromDate(new Date());

/** The ceiling: the same transport, gate, validation and codec, and handlers that return a constant. */
await runBenchServer(() => (router) => {
  router.service(EventsService, {
    createEvent: () => ({ event, replayed: false, idempotencyKeyExpiresAt: expiresAt }),
    retrieveEvent: () => ({ event }),
  });
});
