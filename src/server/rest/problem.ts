import { ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../../gen/typescript/google/rpc/error_details_pb.ts';
import { problem } from '../errors/plain-answers.ts';
import { codeToHttpStatus, codeToString, errorFromJson } from '../rpc/connect-internals.ts';
import type { ExchangeResponse } from '../wire/exchange.ts';

/** Where the reason says more about HTTP than the code does. */
const statusOfReason = new Map([
  ['PAYLOAD_TOO_LARGE', 413],
  ['REQUEST_TOO_LARGE', 413],
  // A content-encoding that nobody here knows.
  ['UNIMPLEMENTED', 415],
  // As the IETF's draft on the Idempotency-Key header says.
  ['IDEMPOTENCY_KEY_REUSED', 422],
]);

const titles = new Map([
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [409, 'Conflict'],
  [413, 'Content Too Large'],
  [415, 'Unsupported Media Type'],
  [422, 'Unprocessable Content'],
  [429, 'Too Many Requests'],
  [499, 'Client Closed Request'],
  [500, 'Internal Server Error'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
]);

/** The error that Connect wrote as JSON. */
export function readError(connectErrorJson: string): ConnectError {
  return errorFromJson(JSON.parse(connectErrorJson), undefined, new ConnectError('internal error'));
}

/**
 * An error of an RPC as `application/problem+json`.
 *
 * @param inWords puts the caller's names in place of those of the contract.
 */
export function toProblem(
  error: ConnectError,
  requestId: string,
  inWords: (text: string) => string = (text) => text,
): ExchangeResponse {
  const info = error.findDetails(ErrorInfoSchema)[0];
  const reason = info?.reason ?? 'INTERNAL';
  const status = statusOfReason.get(reason) ?? codeToHttpStatus(error.code);
  const violations = error.findDetails(BadRequestSchema)[0]?.fieldViolations;
  const retryDelay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const retryAfterSeconds =
    retryDelay && Math.ceil(Number(retryDelay.seconds) + retryDelay.nanos / 1e9);
  return problem(
    status,
    {
      title: titles.get(status) ?? 'Error',
      detail: inWords(error.rawMessage),
      code: codeToString(error.code),
      reason,
      request_id: requestId,
      ...(info !== undefined &&
        Object.keys(info.metadata).length > 0 && { metadata: info.metadata }),
      ...(violations && {
        violations: violations.map(({ field, description }) => ({
          field: inWords(field),
          description,
        })),
      }),
    },
    {
      ...(retryAfterSeconds !== undefined && { 'retry-after': `${retryAfterSeconds}` }),
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
    },
  );
}
