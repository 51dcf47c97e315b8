export { type AppendQueue, createAppendQueue } from './append/append-queue.ts';
export { appendOwnEvent } from './append/own-event-store.ts';
export type { CommitListener, CommitNews, CommitOrigin } from './commit-news.ts';
export type { Appended, Event, NewEvent, OwnEvent } from './event.ts';
export { LogSetBack, SequenceExpired, SequenceInFuture } from './event-errors.ts';
export {
  type EventJson,
  fromEventProtoJson,
  toEventJson,
  writeWebhookJson,
} from './event-json.ts';
export { eventRefusals } from './event-refusals.ts';
export { createEventStore, type EventStore } from './event-store.ts';
export { createEventsFeature, type EventsFeature } from './events.feature.ts';
export { createStreamEncoder } from './follow/stream-encoder.rpc.ts';
export type { StreamMessage, Subscription } from './follow/subscription.ts';
export { type EventFilter, isEverything } from './log/event-filter.ts';
export { createEventLogStore, type EventLogStore } from './log/event-log-store.ts';
export { type LogEnd, readLogEnd } from './log/log-place.ts';
export { readMatching } from './log/matching-events.ts';
export type { LeftBehind } from './retention/left-behind.ts';
export { createRetention, type Retention } from './retention/retention.ts';
export { createRetentionStore } from './retention/retention-store.ts';
