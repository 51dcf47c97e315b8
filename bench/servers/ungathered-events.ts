import type { ServiceImpl } from '@connectrpc/connect';
import type { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { assertMayUseType, assertMayUseWorkspace, getCaller } from '../../src/api-keys/index.ts';
import { type PreparedEvent, prepareEvent } from '../../src/events/event.ts';
import { CreatedAnswer } from '../../src/events/event-answers.rpc.ts';
import { toNewEvent } from '../../src/events/event-message.rpc.ts';
import type { Appended } from '../../src/events/index.ts';
import type { WorkspaceStore } from '../../src/workspaces/index.ts';

/** The service's createEvent, with another way to write an event where it has its queue. */
export function createUngatheredEvents(
  workspaces: Pick<WorkspaceStore, 'assertExists'>,
  append: (event: PreparedEvent) => Promise<Appended>,
): Pick<ServiceImpl<typeof EventsService>, 'createEvent'> {
  return {
    async createEvent(request, context) {
      const caller = getCaller(context.values);
      assertMayUseWorkspace(caller, request.workspaceId);
      assertMayUseType(caller, request.type);
      const event = prepareEvent(
        toNewEvent(request, { apiKeyId: caller.apiKeyId, traceContext: undefined }),
      );
      await workspaces.assertExists(event.workspaceId);
      return new CreatedAnswer(await append(event));
    },
  };
}
