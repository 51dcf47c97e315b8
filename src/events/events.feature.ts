import {
  type CreateEventRequest,
  CreateEventRequestSchema,
  EventsService,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { StreamWatch } from '../api-keys/index.ts';
import { createNotifications } from '../database/notifications.ts';
import { describeCause } from '../describe-cause.ts';
import { type Feature, type FeatureDeps, type Loop, serve } from '../feature.ts';
import type { RateLimiter } from '../rate-limits/index.ts';
import type { WorkspaceStore } from '../workspaces/index.ts';
import { createAppendQueue } from './append/append-queue.ts';
import { createHeldTypes } from './append/held-types.ts';
import { sweepExpiredKeys } from './append/key-sweeper.ts';
import { type CommitNews, createCommitNews } from './commit-news.ts';
import { createEraseEvent } from './erase/erase-event.ts';
import { createEraseEventStore } from './erase/erase-event-store.ts';
import { ShuttingDown } from './event-errors.ts';
import { eventGauges } from './event-gauges.ts';
import { createEventStore } from './event-store.ts';
import { createEventsRpc, type EventsRpcDeps } from './events.rpc.ts';
import { createCommitNotices, parseCommitNotice } from './follow/commit-notices.ts';
import { createEventFeeds, type FeedReports } from './follow/event-feeds.ts';
import { createFeedMemory } from './follow/feed-memory.ts';
import { createOpenReaders } from './follow/open-readers.ts';
import { createSubscribeEvents } from './follow/subscribe-events.rpc.ts';
import { createEventLogStore, type EventLogStore } from './log/event-log-store.ts';
import { createEventReader } from './log/event-reader.ts';
import { createLeftBehind, type LeftBehind } from './retention/left-behind.ts';
import { createRetentionLoops } from './retention/retention-loops.feature.ts';

export interface EventsFeature extends Feature {
  /** For features that work behind the log. */
  readonly commits: CommitNews;
  /** For features that keep something of a workspace beyond its events. */
  readonly leftBehind: LeftBehind;
}

/** What the events need of others. */
export interface EventsFeatureNeeds {
  readonly workspaces: WorkspaceStore;
  readonly streamWatch: StreamWatch;
  readonly limiter: RateLimiter;
  /** Throws when a message breaks a bound of the contract. */
  readonly check: (schema: typeof CreateEventRequestSchema, message: CreateEventRequest) => void;
  readonly explain: EventsRpcDeps['explain'];
  /** See `createEventStore`. */
  readonly onPartitionMissing: () => Promise<void>;
}

const sweepEveryMs = 1_000;
/** Finds what a lost wake-up would have told. */
const pollEveryMs = 1_000;

export function createEventsFeature(deps: FeatureDeps, needs: EventsFeatureNeeds): EventsFeature {
  const { database, report, turns, observer } = deps;
  const { workspaces, streamWatch, limiter, check, explain } = needs;
  const store = createEventStore(database.statements, needs.onPartitionMissing);
  const log = createEventLogStore(database.statements);
  const commits = createCommitNews(report('wake up after a commit'));
  const leftBehind = createLeftBehind();
  const follow = createFollow(deps, log, commits);
  const queue = createAppendQueue(store, {
    onCommitted: (id, lastSequence, events) => commits.tell(id, lastSequence, 'here', events),
    turns,
    observer,
    waitingBytesMax: deps.room.creates,
  });
  const subscribeEvents = createSubscribeEvents({
    feeds: follow.feeds,
    workspaces,
    streams: streamWatch,
    readers: follow.readers,
    limiter,
  });
  const reader = createEventReader(store);
  const eraseEventStore = createEraseEventStore(database.change);
  const rpcs = createEventsRpc({
    queue,
    reader,
    eraseEvent: createEraseEvent({ store: eraseEventStore, reader, commits }),
    heldTypes: createHeldTypes(store),
    log,
    workspaces,
    limiter,
    validate: (request) => check(CreateEventRequestSchema, request),
    explain,
  });
  return {
    commits,
    leftBehind,
    rpcs: [serve(EventsService, rpcs)],
    streams: [subscribeEvents],
    gauges: eventGauges({ queue, ...follow }),
    loops: [
      {
        name: 'sweep expired keys',
        intervalMs: sweepEveryMs,
        round: async (signal) => void (await sweepExpiredKeys(store, signal)),
      },
      ...follow.loops,
      ...createRetentionLoops(deps, leftBehind),
    ],
    endStreams: () => streamWatch.endAll(new ShuttingDown()),
    drained: () => queue.drained(),
    close: async () => follow.close(),
  };
}

/** Feeds, and what carries the news of commits from process to process. */
function createFollow(
  { database, log, report, room }: FeatureDeps,
  logs: EventLogStore,
  commits: CommitNews,
) {
  const reports: FeedReports = {
    onGap: (error) => log.fatal({ cause: describeCause(error) }, 'the log has a gap'),
    onSetBack: (error) => log.error({ cause: describeCause(error) }, 'the log was set back'),
    onError: report('follow the log'),
  };
  const feeds = createEventFeeds(logs, reports, createFeedMemory(room.feeds));
  const notifications = createNotifications(database, {
    channel: 'harbor_commits',
    onMessage(text) {
      for (const [id, lastSequence] of parseCommitNotice(text)) {
        commits.tell(id, lastSequence, 'elsewhere');
      }
    },
  });
  const notices = createCommitNotices(notifications.send, report('tell other processes'));
  commits.listen(feeds.wake);
  commits.listen((workspaceId, lastSequence, origin) => {
    if (origin === 'here') notices.note(workspaceId, lastSequence);
  });
  const loops: Loop[] = [
    { name: 'poll the logs', intervalMs: pollEveryMs, round: () => feeds.poll() },
    {
      name: 'listen to other processes',
      intervalMs: pollEveryMs,
      round: () => notifications.keepListening(),
    },
  ];
  return {
    feeds,
    readers: createOpenReaders(),
    loops,
    close: () => notifications.close(),
  };
}
