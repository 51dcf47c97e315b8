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
  UnavailableError,
  type Violation,
} from './errors.ts';
export type { CreatedEvent, Event, NewEvent } from './events/event.ts';
export type { CreateOptions, Events } from './events/events.ts';
export { Harbor } from './harbor.ts';
export type { JsonObject, JsonValue } from './json.ts';
export type { HarborOptions, RequestOptions } from './options.ts';
export { fromWireKeys, toWireKeys } from './payload-keys.ts';
