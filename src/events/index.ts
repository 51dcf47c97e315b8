export { type AppendQueue, createAppendQueue } from './append/append-queue.ts';
export { createHeldTypes, type HeldTypes } from './append/held-types.ts';
export { sweepExpiredKeys } from './append/key-sweeper.ts';
export type { Appended, Event, NewEvent } from './event.ts';
export { LogSetBack, ShuttingDown } from './event-errors.ts';
export { eventRefusals } from './event-refusals.ts';
export { createEventStore, type EventStore } from './event-store.ts';
export { createEventsRpc } from './events.rpc.ts';
export {
  type CommitNotices,
  createCommitNotices,
  parseCommitNotice,
} from './follow/commit-notices.ts';
export { createEventFeeds, type EventFeeds } from './follow/event-feeds.ts';
export { createOpenStream, type OpenStream, openedStreamKey } from './follow/open-stream.rpc.ts';
export { createStreamEncoder } from './follow/stream-encoder.rpc.ts';
export type { StreamMessage, Subscription } from './follow/subscription.ts';
export { createEventLogStore, type EventLogStore } from './log/event-log-store.ts';
export { createEventReader, type EventReader } from './log/event-reader.ts';
