/** The status of a failed call: the names of the Connect protocol, which are those of gRPC. */
export type ErrorCode =
  | 'canceled'
  | 'unknown'
  | 'invalid_argument'
  | 'deadline_exceeded'
  | 'not_found'
  | 'already_exists'
  | 'permission_denied'
  | 'resource_exhausted'
  | 'failed_precondition'
  | 'aborted'
  | 'out_of_range'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data_loss'
  | 'unauthenticated';

/** What is known about a failed call, apart from its message. */
export interface ErrorFacts {
  readonly code: ErrorCode;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  readonly retryable?: boolean | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly idempotencyKeys?: readonly string[] | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly cause?: unknown;
}

/**
 * A call that failed, or could not be made. The subclasses stand for what a caller does about it; an
 * error that is none of them is a plain HarborError. Messages are for people and may change; decide by
 * class, `code` and `reason`.
 */
export class HarborError extends Error {
  /** The status, for example 'already_exists'. */
  readonly code: ErrorCode;
  /**
   * Why, for example 'IDEMPOTENCY_KEY_REUSED': a reason of the service, or one of the SDK itself
   * (OPTION_INVALID, INVALID_REQUEST, PAYLOAD_INVALID, CONNECTION_FAILED, DEADLINE_EXCEEDED,
   * RESPONSE_INVALID, SUBSCRIPTION_USED, WEBHOOK_NOT_VERIFIED). Undefined when something between here and the service answered, such as a proxy.
   */
  readonly reason: string | undefined;
  /** The x-request-id of the answer, under which the operator finds the call; undefined without one. */
  readonly requestId: string | undefined;
  /** True when the same call may succeed later. The SDK has then used up its own retries. */
  readonly retryable: boolean;
  /** How long the service asks to wait before the next call, in milliseconds; undefined: not said. */
  readonly retryAfterMs: number | undefined;
  /**
   * The idempotency key that a failed create was sent with, given or made. Pass it to the next create
   * of the same event, and the event is recorded once, whatever became of the failed call.
   */
  readonly idempotencyKey: string | undefined;
  /**
   * The idempotency keys, given and made, that a failed createBatch was sent with, in the order of its
   * items. Send the same items again with them, and each is recorded once.
   */
  readonly idempotencyKeys: readonly string[] | undefined;
  /** The facts that the service gave with the reason, for example the scope that is missing. */
  readonly metadata: Readonly<Record<string, string>>;

  constructor(message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.reason = facts.reason;
    this.requestId = facts.requestId;
    this.retryable = facts.retryable ?? false;
    this.retryAfterMs = facts.retryAfterMs;
    this.idempotencyKey = facts.idempotencyKey;
    this.idempotencyKeys = facts.idempotencyKeys;
    this.metadata = facts.metadata ?? {};
  }

  override get name(): string {
    return 'HarborError';
  }
}

/** An option of the SDK breaks its rule. Nothing was sent. Correct the code or its environment. */
export class InvalidOptionError extends HarborError {
  /** The option, for example 'secretKey'. */
  readonly option: string;

  constructor(option: string, message: string) {
    super(message, { code: 'invalid_argument', reason: 'OPTION_INVALID' });
    this.option = option;
  }

  override get name(): string {
    return 'InvalidOptionError';
  }
}

/** One rule that one field of a request breaks. */
export interface Violation {
  /** Path of the field, for example 'payload.lines[0].amountCents'. */
  readonly field: string;
  /** The rule, in words. */
  readonly description: string;
}

/** The request is wrong: nothing was recorded, and sending it again as it is fails again. Correct it. */
export class InvalidRequestError extends HarborError {
  /** The rules that are broken; empty when no single field is to blame (a payload that is too large). */
  readonly violations: readonly Violation[];

  constructor(message: string, violations: readonly Violation[], facts: ErrorFacts) {
    super(message, facts);
    this.violations = violations;
  }

  override get name(): string {
    return 'InvalidRequestError';
  }
}

/** The API key is unknown, revoked or expired. Put another one into `secretKey`. */
export class AuthenticationError extends HarborError {
  override get name(): string {
    return 'AuthenticationError';
  }
}

/** The API key may not do this: `metadata` names the scope, workspace or type. Use a key that may. */
export class PermissionError extends HarborError {
  override get name(): string {
    return 'PermissionError';
  }
}

/** There is nothing with this id, or nothing that the API key may read; the two look the same. */
export class NotFoundError extends HarborError {
  override get name(): string {
    return 'NotFoundError';
  }
}

/**
 * The idempotency key was used for an event with another type or payload within the last 24 hours.
 * Nothing was recorded. Use another key, or take the recorded event for the answer.
 */
export class IdempotencyKeyReusedError extends HarborError {
  /** The event that holds the key; undefined when the API key may not use the type of that event. */
  get eventId(): string | undefined {
    return this.metadata.event_id;
  }

  /** When the key can be used for a new event; undefined where `eventId` is. */
  get expiresAt(): Date | undefined {
    const expiresAt = new Date(this.metadata.expires_at ?? Number.NaN);
    return Number.isNaN(expiresAt.getTime()) ? undefined : expiresAt;
  }

  override get name(): string {
    return 'IdempotencyKeyReusedError';
  }
}

/**
 * Retention has passed the cursor: events that come after it are gone. Begin again with `afterSequence` 0, or
 * `firstSequence - 1`, and take what lies between as lost.
 */
export class SequenceExpiredError extends HarborError {
  /** The first sequence that is kept; one more than the newest when none is. */
  get firstSequence(): number {
    return Number(this.metadata.first_sequence);
  }

  override get name(): string {
    return 'SequenceExpiredError';
  }
}

/** More calls than the service takes on, or than the caller may send. Wait `retryAfterMs`; send less. */
export class OverloadedError extends HarborError {
  override get name(): string {
    return 'OverloadedError';
  }
}

/**
 * The API key, or all API keys in the workspace together, take more than they may. Wait `retryAfterMs`, send less, or
 * have the limit raised. Nothing was recorded.
 */
export class RateLimitedError extends OverloadedError {
  /** What there is too much of: 'creates_per_second', 'create_bytes_per_second', 'streams', or one to come. */
  get limit(): string | undefined {
    return this.metadata.limit;
  }

  /** Whose limit it is: 'api_key' or 'workspace'. */
  get limitOf(): string | undefined {
    return this.metadata.of;
  }

  override get name(): string {
    return 'RateLimitedError';
  }
}

/**
 * The service is down, cannot be reached, or did not answer in time. A create may or may not have been
 * recorded: call it again with `error.idempotencyKey`.
 */
export class UnavailableError extends HarborError {
  override get name(): string {
    return 'UnavailableError';
  }
}

/**
 * A fault of the service, or an answer that cannot be read. Give the operator `requestId`. A create may
 * have been recorded: `error.idempotencyKey` makes it safe to call again.
 */
export class InternalError extends HarborError {
  override get name(): string {
    return 'InternalError';
  }
}

/** What of a webhook is checked, in this order. */
export type WebhookCheck = 'headers' | 'timestamp' | 'signature' | 'body';

/**
 * A request that is no genuine webhook, or whose body is no event: answer 400, and do nothing else with it. `check` says
 * which check failed:
 *
 * - 'headers': one of webhook-id, webhook-timestamp and webhook-signature is missing or malformed.
 * - 'timestamp': it was sent too long ago, or by a clock that is ahead; a recorded request that is sent again fails so.
 * - 'signature': none is by one of the secrets. Somebody else has sent it, or the body is not the one that came in
 *   (parsed and written again, for example).
 * - 'body': the signature is right, and the body is not an event of Harbor Events.
 */
export class WebhookVerificationError extends HarborError {
  readonly check: WebhookCheck;

  constructor(check: WebhookCheck, message: string) {
    super(message, { code: 'unauthenticated', reason: 'WEBHOOK_NOT_VERIFIED' });
    this.check = check;
  }

  override get name(): string {
    return 'WebhookVerificationError';
  }
}
