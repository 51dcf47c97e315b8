import {
  EventsService,
  type SubscribeEventsRequestSchema,
  type SubscribeEventsResponseSchema,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { getCaller, type StreamWatch } from '../../api-keys/index.ts';
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
}

/** SubscribeEvents. A subscription ends with its API key, and with the service. */
export function createSubscribeEvents({
  feeds,
  workspaces,
  streams,
  readers,
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
      const subscription = await openSubscription(feeds, options);
      const end = (reason: unknown) => subscription.end(reason);
      subscription.closing.defer(streams.watch(getCaller(values), end));
      subscription.closing.defer(readers.enter(subscription));
      return subscription;
    },
  };
}
