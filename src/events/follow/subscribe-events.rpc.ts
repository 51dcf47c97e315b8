import {
  EventsService,
  type SubscribeEventsRequestSchema,
  type SubscribeEventsResponseSchema,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { getCaller, type StreamWatch } from '../../api-keys/index.ts';
import { ofKey, ofWorkspace, type RateLimiter, standingKey } from '../../rate-limits/index.ts';
import type { StreamRoute } from '../../stream-route.ts';
import type { KnownWorkspaces } from '../../workspaces/index.ts';
import { openLog } from '../log/open-log.rpc.ts';
import type { EventFeeds } from './event-feeds.ts';
import type { OpenReaders } from './open-readers.ts';
import { createStreamEncoder } from './stream-encoder.rpc.ts';
import { openSubscription, type StreamMessage } from './subscription.ts';

export interface SubscribeEventsDeps {
  readonly feeds: EventFeeds;
  readonly workspaces: KnownWorkspaces;
  readonly streams: StreamWatch;
  readonly readers: Pick<OpenReaders, 'enter'>;
  readonly limiter: RateLimiter;
}

/**
 * SubscribeEvents. A subscription ends with its API key, and with the service; until then it has a place among the
 * streams of its key and of its workspace.
 */
export function createSubscribeEvents({
  feeds,
  workspaces,
  streams,
  readers,
  limiter,
}: SubscribeEventsDeps): StreamRoute<
  typeof SubscribeEventsRequestSchema,
  typeof SubscribeEventsResponseSchema,
  StreamMessage
> {
  return {
    method: EventsService.method.subscribeEvents,
    createEncoder: createStreamEncoder,
    async open(request, { values }) {
      const filter = await openLog(workspaces, request, values);
      const { workspaceId, afterSequence: after } = request;
      const afterSequence = after === undefined ? undefined : Number(after);
      const options = { workspaceId, afterSequence, filter };
      const caller = getCaller(values);
      const rateLimits = await workspaces.findRateLimits(workspaceId);
      const limited = [ofKey(caller), ofWorkspace({ id: workspaceId, rateLimits })];
      values.set(standingKey, () => limiter.standingOf(limited, 'streams'));
      // Held from here on, lest those that are being opened at the same time are too many.
      const leave = limiter.openStream(limited);
      const subscription = await openSubscription(feeds, options).catch((error) => {
        leave();
        throw error;
      });
      const end = (reason: unknown) => subscription.end(reason);
      subscription.closing.defer(leave);
      subscription.closing.defer(streams.watch(caller, end));
      subscription.closing.defer(readers.enter(subscription));
      return subscription;
    },
  };
}
