export { type AppendQueue, createAppendQueue } from './append-queue.ts';
export { type CommitNotices, createCommitNotices, parseCommitNotice } from './commit-notices.ts';
export type { Appended, Event, NewEvent } from './event.ts';
export {
  AppendAbandoned,
  AppendContended,
  AppendQueueFull,
  EventNotFound,
  EventWorkspaceMissing,
  IdempotencyKeyReused,
  IdempotencyKeyTaken,
  LogGap,
  LogSetBack,
  SequenceInFuture,
  ShuttingDown,
} from './event-errors.ts';
export { createEventFeeds, type EventFeeds } from './event-feeds.ts';
export { createEventLogStore, type EventLogStore } from './event-log-store.ts';
export { createEventReader, type EventReader } from './event-reader.ts';
export { createEventStore, type EventStore } from './event-store.ts';
export { createEventsRpc } from './events.rpc.ts';
export { createHeldTypes, type HeldTypes } from './held-types.ts';
export { sweepExpiredKeys } from './key-sweeper.ts';
export { createOpenStream, type OpenStream, openedStreamKey } from './open-stream.rpc.ts';
export { PayloadInvalid, PayloadTooLarge, payloadBytesMax } from './payload.ts';
export { createStreamEncoder } from './stream-encoder.rpc.ts';
export type { StreamMessage, Subscription } from './subscription.ts';
