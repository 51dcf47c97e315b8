import type { ContextValues } from '@connectrpc/connect';
import type {
  ListEventsRequest,
  SubscribeEventsRequest,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { assertMayUseWorkspace, getCaller, readablePatterns } from '../../api-keys/index.ts';
import type { KnownWorkspaces } from '../../workspaces/index.ts';
import type { EventFilter } from './event-filter.ts';

/**
 * What a list or a stream of a workspace may hold of what it asks for.
 *
 * @throws when the caller may not read it at all, or nobody can.
 */
export async function openLog(
  workspaces: KnownWorkspaces,
  request: Pick<
    ListEventsRequest | SubscribeEventsRequest,
    'workspaceId' | 'typePatterns' | 'subject'
  >,
  values: ContextValues,
): Promise<EventFilter> {
  const caller = getCaller(values);
  assertMayUseWorkspace(caller, request.workspaceId);
  const typePatterns = readablePatterns(caller, request.typePatterns);
  await workspaces.assertExists(request.workspaceId);
  return { subject: request.subject === '' ? undefined : request.subject, typePatterns };
}
