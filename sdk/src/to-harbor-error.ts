import { durationMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/typescript/google/rpc/error_details_pb.ts';
import {
  AuthenticationError,
  type ErrorCode,
  type ErrorFacts,
  HarborError,
  IdempotencyKeyReusedError,
  InternalError,
  InvalidRequestError,
  NotFoundError,
  OverloadedError,
  PermissionError,
  RateLimitedError,
  SequenceExpiredError,
  UnavailableError,
  type Violation,
} from './errors.ts';
import { ConnectionFailure, StreamCut } from './network.ts';
import type { Settings } from './options.ts';

/** What the SDK knows about a call that failed. */
export interface CallFacts {
  /** The number of attempts that were made. */
  readonly attempt: number;
  /** How long each was allowed to take, in milliseconds. */
  readonly timeoutMs: number;
  /** The idempotency key that a create was sent with. */
  readonly idempotencyKey?: string | undefined;
  /** The idempotency keys that a batch was sent with, one per item. */
  readonly idempotencyKeys?: readonly string[] | undefined;
  /** The query had its type patterns as `types`, and errors call them so. */
  readonly saysTypes?: boolean | undefined;
}

/** From what Connect throws to what callers of the SDK catch. A HarborError inside stays as it is. */
export type Translation = (thrown: unknown, call: CallFacts) => HarborError;

/** Makes the translation from what Connect throws to what callers of the SDK catch. */
export function createErrorTranslation(
  settings: Pick<Settings, 'baseUrl' | 'payloadKeys'>,
): Translation {
  return (thrown, call) => {
    const error = ConnectError.from(thrown);
    if (error.cause instanceof HarborError) return error.cause;

    const info = error.findDetails(ErrorInfoSchema).find((i) => i.domain === 'harbor.events');
    const reason = info?.reason ?? localReason(error);
    const retryAfterMs = findRetryAfterMs(error);
    const facts: ErrorFacts = {
      code: codeToString(error.code) as ErrorCode,
      reason,
      requestId: error.metadata.get('x-request-id') ?? undefined,
      retryable: isRetryable(error.code, reason, retryAfterMs),
      retryAfterMs,
      idempotencyKey: call.idempotencyKey,
      idempotencyKeys: call.idempotencyKeys,
      metadata: info?.metadata,
      cause: error,
    };
    const violations = findViolations(error, (field) => {
      const own = settings.payloadKeys.fieldFromWire(field);
      return call.saysTypes === true ? own.replace(/^typePatterns(?=$|\[)/, 'types') : own;
    });
    return classify(messageOf(error, violations, { ...settings, ...call }), violations, facts);
  };
}

/** One class per thing that a caller does about it. */
function classify(message: string, violations: Violation[], facts: ErrorFacts): HarborError {
  switch (facts.code) {
    case 'out_of_range':
      return facts.reason === 'SEQUENCE_EXPIRED'
        ? new SequenceExpiredError(message, facts)
        : new InvalidRequestError(message, violations, facts);
    case 'invalid_argument':
      return new InvalidRequestError(message, violations, facts);
    case 'resource_exhausted':
      if (facts.reason === 'RATE_LIMITED') return new RateLimitedError(message, facts);
      return facts.retryable
        ? new OverloadedError(message, facts)
        : new InvalidRequestError(message, violations, facts);
    case 'already_exists':
      return facts.reason === 'IDEMPOTENCY_KEY_REUSED'
        ? new IdempotencyKeyReusedError(message, facts)
        : new HarborError(message, facts);
    case 'unauthenticated':
      return new AuthenticationError(message, facts);
    case 'permission_denied':
      return new PermissionError(message, facts);
    case 'not_found':
      return new NotFoundError(message, facts);
    case 'unavailable':
    case 'deadline_exceeded':
      return new UnavailableError(message, facts);
    case 'internal':
    case 'unknown':
    case 'data_loss':
      return new InternalError(message, facts);
    default:
      return new HarborError(message, facts);
  }
}

/** Reasons of RESOURCE_EXHAUSTED that pass, also where no wait is given: in a batch, in a stream. */
const passingReasons = ['OVERLOADED', 'RATE_LIMITED', 'SUBSCRIBER_TOO_SLOW'];

/** Any other RESOURCE_EXHAUSTED without a wait is a request that is too large: it stays so. */
function isRetryable(
  code: Code,
  reason: string | undefined,
  retryAfterMs: number | undefined,
): boolean {
  if (code === Code.ResourceExhausted) {
    return retryAfterMs !== undefined || passingReasons.includes(reason ?? '');
  }
  return code === Code.Unavailable || code === Code.DeadlineExceeded;
}

function localReason(error: ConnectError): string | undefined {
  if (error.cause instanceof ConnectionFailure) return 'CONNECTION_FAILED';
  return error.code === Code.DeadlineExceeded ? 'DEADLINE_EXCEEDED' : undefined;
}

/** RetryInfo, or the header that proxies send with 429 and 503 (in seconds; dates are ignored). */
function findRetryAfterMs(error: ConnectError): number | undefined {
  const [info] = error.findDetails(RetryInfoSchema);
  if (info?.retryDelay !== undefined) return Math.max(0, durationMs(info.retryDelay));
  const header = error.metadata.get('retry-after');
  return header !== null && /^\d{1,9}$/.test(header) ? Number(header) * 1000 : undefined;
}

function findViolations(error: ConnectError, rename: (field: string) => string): Violation[] {
  return error
    .findDetails(BadRequestSchema)
    .flatMap((badRequest) => badRequest.fieldViolations)
    .map(({ field, description }) => ({ field: rename(field), description }));
}

/** What happened, what was found wrong, what to do, and under which id the operator finds it. */
function messageOf(
  error: ConnectError,
  violations: Violation[],
  call: CallFacts & { readonly baseUrl: string },
): string {
  const requestId = error.metadata.get('x-request-id');
  return [
    whatHappened(error, call),
    ...violations
      .filter(({ description }) => !error.rawMessage.includes(description))
      .map(({ field, description }) => `${field}: ${description}`),
    whatToDo(error, call),
    requestId === null ? '' : `(request id ${requestId})`,
  ]
    .filter((part) => part !== '')
    .join(' ');
}

function whatHappened(error: ConnectError, call: CallFacts & { readonly baseUrl: string }): string {
  if (error.cause instanceof StreamCut) {
    return sentence(`The stream from ${call.baseUrl} was cut: ${error.cause.message}`);
  }
  if (error.cause instanceof ConnectionFailure) {
    return sentence(
      `No answer from ${call.baseUrl}: ${error.cause.message} (attempt ${call.attempt}). ` +
        'Check that the service runs and that baseUrl is its address' +
        ('document' in globalThis ? ', and that its CORS_ORIGINS allow this page' : ''),
    );
  }
  if (error.code === Code.DeadlineExceeded && !error.isWireError) {
    return `No answer from ${call.baseUrl} within ${call.timeoutMs} ms (attempt ${call.attempt}).`;
  }
  if (error.code === Code.Unimplemented && !error.isWireError) {
    return `${call.baseUrl} does not know this call. Check that baseUrl is the address of Harbor Events.`;
  }
  const strange = findStrangeAnswer(error);
  if (strange !== undefined) {
    return (
      `${call.baseUrl} does not look like Harbor Events: it answered with ${strange}. ` +
      'Check that baseUrl is its address, and what stands between here and there.'
    );
  }
  return sentence(error.rawMessage || `The service answered ${codeToString(error.code)}`);
}

/**
 * What an answer has that the service does not give: its errors have details, or are problem+json, and its answers are
 * binary. Undefined also for what says that it may pass, as proxies do whose service is away.
 */
function findStrangeAnswer(error: ConnectError): string | undefined {
  if (error.code === Code.Unavailable || error.details.length > 0) return undefined;
  if (error.metadata.get('content-type')?.startsWith('application/problem+json')) return undefined;
  const { rawMessage } = error;
  if (error.isWireError) return rawMessage ? JSON.stringify(rawMessage) : codeToString(error.code);
  if (/^HTTP \d{3}$/.test(rawMessage)) return rawMessage;
  const [, type] = /^unsupported content type (.*)$/s.exec(rawMessage) ?? [];
  if (type === undefined) return undefined;
  return type === 'null' ? 'no content type' : `the content type ${type}`;
}

/** The outcome of a create is unknown unless the service says that it did nothing. */
function whatToDo(error: ConnectError, call: CallFacts): string {
  const unknownOutcome = [Code.Unavailable, Code.DeadlineExceeded, Code.Internal, Code.Unknown];
  if (!unknownOutcome.includes(error.code)) return '';
  if (call.idempotencyKeys !== undefined) {
    return (
      'The events may or may not have been recorded. Create them again with the keys in ' +
      'idempotencyKeys, and each is recorded once.'
    );
  }
  if (call.idempotencyKey === undefined) return '';
  return (
    'The event may or may not have been recorded. Create it again with ' +
    `idempotencyKey ${JSON.stringify(call.idempotencyKey)}, and it is recorded once.`
  );
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
