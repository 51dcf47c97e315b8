import {
  Code,
  ConnectError,
  type ContextValues,
  createContextKey,
  type HandlerContext,
} from '@connectrpc/connect';
import type { SubscribeEventsRequest } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { getCaller, type StreamWatch } from '../../api-keys/index.ts';
import type { EventLogStore } from '../log/event-log-store.ts';
import { type KnownWorkspaces, openLog } from '../log/open-log.rpc.ts';
import type { EventFeeds } from './event-feeds.ts';
import { openSubscription, type Subscription } from './subscription.ts';

/** Where SubscribeEvents leaves the subscription that it has opened, for whoever writes the answer. */
export const openedStreamKey = createContextKey<Subscription | undefined>(undefined, {
  description: 'the subscription that goes on after its call was accepted',
});

export interface OpenStreamDeps {
  readonly log: EventLogStore;
  readonly feeds: EventFeeds;
  readonly workspaces: KnownWorkspaces;
  readonly streams: StreamWatch;
}

/** Opens what SubscribeEvents asks for; it ends with its API key, its timeout, or the service. */
export type OpenStream = (
  request: SubscribeEventsRequest,
  context: Pick<HandlerContext, 'timeoutMs'> & { readonly values: ContextValues },
) => Promise<Subscription>;

export function createOpenStream({ log, feeds, workspaces, streams }: OpenStreamDeps): OpenStream {
  return async (request, { values, timeoutMs }) => {
    const typePatterns = await openLog(workspaces, request, values);
    const { workspaceId, afterSequence: after } = request;
    const afterSequence = after === undefined ? undefined : Number(after);
    const options = { workspaceId, afterSequence, typePatterns };
    const subscription = await openSubscription(feeds, log, options);
    const end = (reason: unknown) => subscription.end(reason);
    subscription.closing.defer(streams.watch(getCaller(values).apiKeyId, end));
    endAtDeadline(subscription, timeoutMs());
    return subscription;
  };
}

function endAtDeadline(subscription: Subscription, timeoutMs: number | undefined): void {
  if (timeoutMs === undefined) return;
  const timer = setTimeout(
    () => subscription.end(new ConnectError('the operation timed out', Code.DeadlineExceeded)),
    Math.max(0, timeoutMs),
  );
  subscription.closing.defer(() => clearTimeout(timer));
}
