import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../../gen/typescript/google/rpc/error_details_pb.ts';
import type { Refusal, RefusalFacts, StatusCode } from '../../refusal.ts';
import { firstViolations, type Violation } from './error-size.ts';
import { type Reason, refusals } from './refusals.ts';
import { statusCodes } from './status-codes.ts';

const refusalOf = new Map<unknown, Refusal<Reason>>(
  refusals.map((refusal) => [refusal.errorClass, refusal]),
);

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
  const refusal = refusalOf.get(error.constructor);
  if (refusal === undefined) return undefined;
  return toConnectError(error.message, { ...refusal, ...refusal.facts(error) }, error);
}

/** What is said outside about an error that nobody foresaw; the log has the cause. */
export function internalError(requestId: string, cause: unknown): ConnectError {
  const message = `internal error; the operator finds its cause under request id ${requestId}`;
  return toConnectError(message, { code: 'internal', reason: 'INTERNAL' }, cause);
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

interface Answer extends RefusalFacts {
  readonly code: StatusCode;
  readonly reason: Reason;
}

function toConnectError(message: string, answer: Answer, cause: unknown): ConnectError {
  const code = statusCodes[answer.code];
  const error = new ConnectError(message, code, undefined, undefined, cause);
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
