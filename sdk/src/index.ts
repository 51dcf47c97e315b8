export type {
  ApiKey,
  ApiKeyChanges,
  ApiKeyKind,
  ApiKeyScope,
  CreatedApiKey,
  NewApiKey,
  RotatedApiKey,
} from './api-keys/api-key.ts';
export type { ApiKeys, RotateApiKeyOptions } from './api-keys/api-keys.ts';
export type { CallerKey } from './api-keys/caller-key.ts';
export type { CreateOnceOptions } from './create-once.ts';
export type { Deliveries, DeliveryQuery } from './deliveries/deliveries.ts';
export type {
  Attempt,
  Delivery,
  DeliveryState,
  DeliveryWithAttempts,
} from './deliveries/delivery-messages.ts';
export {
  AuthenticationError,
  type ErrorCode,
  HarborError,
  IdempotencyKeyReusedError,
  InternalError,
  InvalidOptionError,
  InvalidRequestError,
  NotFoundError,
  OverloadedError,
  PermissionError,
  RateLimitedError,
  SequenceExpiredError,
  UnavailableError,
  type Violation,
  type WebhookCheck,
  WebhookVerificationError,
} from './errors.ts';
export type { BatchItem, BatchResult } from './events/batch.ts';
export type {
  EraseBySubjectOptions,
  EraseBySubjectQuery,
  ErasedBySubject,
} from './events/erase-by-subject.ts';
export type { CreatedEvent, Event, NewEvent } from './events/event.ts';
export type { CreateOptions, Events, RetrieveOptions } from './events/events.ts';
export type { EventList, EventPage, ListQuery } from './events/list.ts';
export type { Reconnect, SubscribeOptions, SubscribeQuery } from './events/subscribe.ts';
export type { EventSubscription } from './events/subscription.ts';
export { Harbor } from './harbor.ts';
export type { JsonObject, JsonValue } from './json.ts';
export type { ItemList, PageQuery } from './list-pages.ts';
export type { HarborOptions, RequestOptions } from './options.ts';
export type { Page } from './paged-list.ts';
export { fromWireKeys, toWireKeys } from './payload-keys.ts';
export type { RateLimitChanges, RateLimits } from './rate-limits.ts';
export type { NewReplay, ReplayRange } from './replays/create-replay.ts';
export type { Replay } from './replays/replay-messages.ts';
export type { ReplayCount, ReplayQuery, Replays } from './replays/replays.ts';
export type {
  CreatedWebhookEndpoint,
  NewWebhookEndpoint,
  WebhookEndpoint,
  WebhookEndpointChanges,
  WebhookOrdering,
  WebhookSecret,
} from './webhook-endpoints/webhook-endpoint.ts';
export type {
  WebhookEndpointQuery,
  WebhookEndpoints,
} from './webhook-endpoints/webhook-endpoints.ts';
export type { WebhookBody, WebhookHeaders, WebhookSecrets } from './webhooks/webhook-request.ts';
export {
  type SignOptions,
  type UnwrapOptions,
  type VerifyOptions,
  type Webhooks,
  webhooks,
} from './webhooks/webhooks.ts';
export type { NewWorkspace, Workspace, WorkspaceChanges } from './workspaces/workspace.ts';
export type { Workspaces } from './workspaces/workspaces.ts';
