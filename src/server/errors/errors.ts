import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../../gen/typescript/google/rpc/error_details_pb.ts';
import type { ErrorReason } from '../../../gen/typescript/harbor/errors/v1/error_reason_pb.ts';
import {
  ApiKeyContradictory,
  ApiKeyExceedsCaller,
  ApiKeyInvalid,
  ApiKeyLookUpsFull,
  ApiKeyMissing,
  ApiKeyNotFound,
  EventTypeNotAllowed,
  ScopeMissing,
  WorkspaceNotAllowed,
} from '../../api-keys/index.ts';
import { DatabaseContended, DatabaseUnavailable } from '../../database-unavailable.ts';
import {
  AppendAbandoned,
  AppendContended,
  AppendQueueFull,
  EventNotFound,
  EventWorkspaceMissing,
  IdempotencyKeyReused,
  IdempotencyKeyTaken,
  LogGap,
  LogSetBack,
  PayloadInvalid,
  PayloadTooLarge,
  payloadBytesMax,
  SequenceInFuture,
  ShuttingDown,
} from '../../events/index.ts';
import { InvalidPageToken } from '../../page-token.ts';
import { TimeOutOfRange } from '../../timestamp.ts';
import { WorkspaceAlreadyExists, WorkspaceNotFound } from '../../workspaces/index.ts';
import { firstViolations, type Violation } from './error-size.ts';
import {
  CallsInFlightFull,
  CompressionUndeclared,
  InvalidField,
  RequestTooLarge,
} from './request-errors.ts';

/** The reason of an error: a value of harbor.errors.v1.ErrorReason. */
export type Reason = keyof typeof ErrorReason;

/** What a caller is told about an error, beside its text. */
interface Answer {
  readonly code: Code;
  readonly reason: Reason;
  readonly metadata?: Record<string, string>;
  readonly violation?: { readonly field: string; readonly description: string };
  readonly retryAfterMs?: number;
}

// biome-ignore lint/suspicious/noExplicitAny: a class with any constructor
type ErrorClass<E> = new (...args: any[]) => E;

/** Each named fact, its code and reason: the one place where they meet. */
const answers = new Map<unknown, (error: Error) => Answer>();

function refuse<E extends Error>(
  errorClass: ErrorClass<E>,
  code: Code,
  reason: Reason,
  facts: (error: E) => Omit<Answer, 'code' | 'reason'> = () => ({}),
): void {
  answers.set(errorClass, (error) => ({ code, reason, ...facts(error as E) }));
}

refuse(InvalidField, Code.InvalidArgument, 'INVALID_REQUEST', (e) => ({
  violation: { field: e.field, description: e.rule },
}));
refuse(InvalidPageToken, Code.InvalidArgument, 'INVALID_REQUEST', (e) => ({
  violation: { field: 'page_token', description: e.rule },
}));
refuse(TimeOutOfRange, Code.InvalidArgument, 'INVALID_REQUEST', (e) => ({
  violation: { field: e.field, description: e.rule },
}));
refuse(ApiKeyContradictory, Code.InvalidArgument, 'INVALID_REQUEST', (e) => ({
  violation: { field: e.field, description: e.rule },
}));
// The caller's fault; the code is the one that gRPC's specification of compression asks for by name.
refuse(CompressionUndeclared, Code.Internal, 'INVALID_REQUEST');
refuse(PayloadInvalid, Code.InvalidArgument, 'PAYLOAD_INVALID', (e) => ({
  violation: { field: e.path, description: e.rule },
}));
refuse(PayloadTooLarge, Code.InvalidArgument, 'PAYLOAD_TOO_LARGE', (e) => ({
  metadata: { payload_bytes: `${e.payloadBytes}`, payload_bytes_max: `${payloadBytesMax}` },
  violation: { field: 'payload', description: `must be at most ${payloadBytesMax} bytes of JSON` },
}));
refuse(ApiKeyMissing, Code.Unauthenticated, 'API_KEY_MISSING');
refuse(ApiKeyInvalid, Code.Unauthenticated, 'API_KEY_INVALID');
refuse(ScopeMissing, Code.PermissionDenied, 'SCOPE_MISSING', (e) => ({
  metadata: { scope: e.scope },
}));
refuse(WorkspaceNotAllowed, Code.PermissionDenied, 'WORKSPACE_NOT_ALLOWED', (e) => ({
  metadata: { workspace_id: e.workspaceId },
}));
refuse(EventTypeNotAllowed, Code.PermissionDenied, 'EVENT_TYPE_NOT_ALLOWED', (e) => ({
  metadata: { type: e.type },
}));
refuse(ApiKeyExceedsCaller, Code.PermissionDenied, 'API_KEY_EXCEEDS_CALLER', (e) => ({
  metadata: { exceeds: e.exceeds },
}));
refuse(WorkspaceNotFound, Code.NotFound, 'WORKSPACE_NOT_FOUND', (e) => ({
  metadata: { workspace_id: e.workspaceId },
}));
refuse(EventWorkspaceMissing, Code.NotFound, 'WORKSPACE_NOT_FOUND', (e) => ({
  metadata: { workspace_id: e.workspaceId },
}));
refuse(EventNotFound, Code.NotFound, 'EVENT_NOT_FOUND', (e) => ({
  metadata: { event_id: e.eventId },
}));
refuse(ApiKeyNotFound, Code.NotFound, 'API_KEY_NOT_FOUND', (e) => ({
  metadata: { api_key_id: e.apiKeyId },
}));
refuse(IdempotencyKeyReused, Code.AlreadyExists, 'IDEMPOTENCY_KEY_REUSED', (e) => ({
  metadata: { event_id: e.eventId, expires_at: e.expiresAt.toISOString() },
}));
refuse(IdempotencyKeyTaken, Code.AlreadyExists, 'IDEMPOTENCY_KEY_REUSED');
refuse(WorkspaceAlreadyExists, Code.AlreadyExists, 'WORKSPACE_ALREADY_EXISTS', (e) => ({
  metadata: { workspace_id: e.workspaceId },
}));
refuse(AppendQueueFull, Code.ResourceExhausted, 'OVERLOADED', () => ({ retryAfterMs: 1_000 }));
refuse(ApiKeyLookUpsFull, Code.ResourceExhausted, 'OVERLOADED', () => ({ retryAfterMs: 1_000 }));
refuse(CallsInFlightFull, Code.ResourceExhausted, 'OVERLOADED', () => ({ retryAfterMs: 1_000 }));
refuse(RequestTooLarge, Code.ResourceExhausted, 'REQUEST_TOO_LARGE', (e) => ({
  metadata: { request_bytes_max: `${e.bytesMax}` },
}));
refuse(DatabaseUnavailable, Code.Unavailable, 'DATABASE_UNAVAILABLE', () => ({
  retryAfterMs: 1_000,
}));
refuse(DatabaseContended, Code.Unavailable, 'DATABASE_UNAVAILABLE', () => ({
  retryAfterMs: 1_000,
}));
refuse(AppendContended, Code.Unavailable, 'DATABASE_UNAVAILABLE', () => ({ retryAfterMs: 1_000 }));
refuse(ShuttingDown, Code.Unavailable, 'SHUTTING_DOWN', () => ({ retryAfterMs: 1_000 }));
refuse(SequenceInFuture, Code.OutOfRange, 'SEQUENCE_IN_FUTURE', (e) => ({
  metadata: { last_sequence: `${e.lastSequence}` },
  violation: {
    field: 'after_sequence',
    description: 'must not be higher than the newest sequence',
  },
}));
refuse(LogGap, Code.DataLoss, 'LOG_GAP', (e) => ({
  metadata: { workspace_id: e.workspaceId, after_sequence: `${e.afterSequence}` },
}));
refuse(LogSetBack, Code.DataLoss, 'LOG_SET_BACK', (e) => ({
  metadata: { workspace_id: e.workspaceId, last_sequence: `${e.lastSequence}` },
}));
refuse(AppendAbandoned, Code.DeadlineExceeded, 'DEADLINE_EXCEEDED');

/** The reason of an error that Connect itself raised, by its code. */
const reasonOfCode = new Map<Code, Reason>([
  [Code.InvalidArgument, 'INVALID_REQUEST'],
  [Code.ResourceExhausted, 'REQUEST_TOO_LARGE'],
  [Code.DeadlineExceeded, 'DEADLINE_EXCEEDED'],
  [Code.Canceled, 'CANCELLED'],
  [Code.Aborted, 'CANCELLED'],
  [Code.Unimplemented, 'UNIMPLEMENTED'],
  [Code.NotFound, 'METHOD_NOT_FOUND'],
]);

/** The answer to a named fact, or undefined for an error that nobody foresaw. */
export function findRefusal(error: unknown): ConnectError | undefined {
  if (!(error instanceof Error)) return undefined;
  const answer = answers.get(error.constructor)?.(error);
  return answer && toConnectError(error.message, answer, error);
}

/** What is said outside about an error that nobody foresaw; the log has the cause. */
export function internalError(requestId: string, cause: unknown): ConnectError {
  const message = `internal error; the operator finds its cause under request id ${requestId}`;
  return toConnectError(message, { code: Code.Internal, reason: 'INTERNAL' }, cause);
}

/**
 * Gives an error of Connect's own the details that every error carries; does nothing when it has them.
 *
 * @param reason where more is known than the code tells.
 */
export function addErrorInfo(
  error: ConnectError,
  reason: Reason = reasonOfCode.get(error.code) ?? 'INTERNAL',
  violations: readonly Violation[] = [],
): void {
  if (reasonOf(error) !== undefined) return;
  error.details.push(errorInfo(reason, {}));
  if (violations.length > 0) {
    error.details.push({ desc: BadRequestSchema, value: { fieldViolations: [...violations] } });
  }
}

/** An INVALID_ARGUMENT that names the violations, the first of them where there are many. */
export function invalidRequest(reason: Reason, violations: readonly Violation[]): ConnectError {
  const told = firstViolations(violations);
  const rules = told.map((one) => `${one.field}: ${one.description}`).join('; ');
  const isCut = told.length < violations.length;
  const message = isCut ? `${violations.length} rules are broken, at first: ${rules}` : rules;
  const metadata = isCut ? { violations: `${violations.length}` } : {};
  return new ConnectError(message, Code.InvalidArgument, undefined, [
    errorInfo(reason, metadata),
    { desc: BadRequestSchema, value: { fieldViolations: told } },
  ]);
}

/** The facts of an error, apart from the wire: for an item of a batch. */
export function factsOf(error: ConnectError) {
  const info = detailOf(error, ErrorInfoSchema.typeName);
  const bad = detailOf(error, BadRequestSchema.typeName);
  const retry = detailOf(error, RetryInfoSchema.typeName) as
    | { retryDelay: { seconds: bigint; nanos: number } }
    | undefined;
  return {
    code: error.code,
    reason: reasonOf(error) ?? 'INTERNAL',
    message: error.rawMessage,
    metadata: (info as { metadata: Record<string, string> } | undefined)?.metadata ?? {},
    fieldViolations: (bad as { fieldViolations: Violation[] } | undefined)?.fieldViolations ?? [],
    ...(retry !== undefined && { retryDelay: retry.retryDelay }),
  };
}

function detailOf(error: ConnectError, typeName: string): unknown {
  for (const detail of error.details) {
    if ('desc' in detail && detail.desc.typeName === typeName) return detail.value;
  }
  return undefined;
}

/** The reason that an error's ErrorInfo gives, if it has one yet. */
export function reasonOf(error: ConnectError): string | undefined {
  return (detailOf(error, ErrorInfoSchema.typeName) as { reason: string } | undefined)?.reason;
}

function toConnectError(message: string, answer: Answer, cause: unknown): ConnectError {
  const error = new ConnectError(message, answer.code, undefined, undefined, cause);
  error.details.push(errorInfo(answer.reason, answer.metadata ?? {}));
  if (answer.violation !== undefined) {
    error.details.push({ desc: BadRequestSchema, value: { fieldViolations: [answer.violation] } });
  }
  if (answer.retryAfterMs !== undefined) {
    const { retryAfterMs } = answer;
    const retryDelay = {
      seconds: BigInt(Math.floor(retryAfterMs / 1000)),
      nanos: (retryAfterMs % 1000) * 1e6,
    };
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay } });
  }
  return error;
}

function errorInfo(reason: Reason, metadata: Record<string, string>) {
  return { desc: ErrorInfoSchema, value: { reason, domain: 'harbor.events', metadata } };
}
