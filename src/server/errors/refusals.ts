import type { ErrorReason } from '../../../gen/typescript/harbor/errors/v1/error_reason_pb.ts';
import { apiKeyRefusals } from '../../api-keys/index.ts';
import { DatabaseContended, DatabaseUnavailable } from '../../database-unavailable.ts';
import { eventRefusals } from '../../events/index.ts';
import { InvalidPageToken } from '../../page-token.ts';
import { rateLimitRefusals } from '../../rate-limits/index.ts';
import { type Refusal, refuse } from '../../refusal.ts';
import { TimeOutOfRange } from '../../timestamp.ts';
import { webhookRefusals } from '../../webhooks/index.ts';
import { workspaceRefusals } from '../../workspaces/index.ts';
import {
  CallsInFlightFull,
  CompressionUndeclared,
  InvalidField,
  RequestTooLarge,
  ServerStopping,
  TooFarAhead,
  TooManyMessages,
} from './request-errors.ts';

/** The reason of an error: a value of harbor.errors.v1.ErrorReason. */
export type Reason = keyof typeof ErrorReason;

/** What is refused whatever the call is about. */
const serverRefusals = [
  refuse(InvalidField, 'invalid_argument', 'INVALID_REQUEST', (e) => ({
    violation: { field: e.field, description: e.rule },
  })),
  refuse(InvalidPageToken, 'invalid_argument', 'INVALID_REQUEST', (e) => ({
    violation: { field: 'page_token', description: e.rule },
  })),
  refuse(TimeOutOfRange, 'invalid_argument', 'INVALID_REQUEST', (e) => ({
    violation: { field: e.field, description: e.rule },
  })),
  // The caller's fault; the code is the one that gRPC's specification of compression asks for by name.
  refuse(CompressionUndeclared, 'internal', 'INVALID_REQUEST'),
  refuse(CallsInFlightFull, 'resource_exhausted', 'OVERLOADED', () => ({ retryAfterMs: 1_000 })),
  refuse(RequestTooLarge, 'resource_exhausted', 'REQUEST_TOO_LARGE', (e) => ({
    metadata: { request_bytes_max: `${e.bytesMax}` },
  })),
  refuse(TooManyMessages, 'resource_exhausted', 'OVERLOADED', () => ({ retryAfterMs: 1_000 })),
  refuse(TooFarAhead, 'resource_exhausted', 'OVERLOADED', () => ({ retryAfterMs: 1_000 })),
  refuse(ServerStopping, 'unavailable', 'SHUTTING_DOWN', () => ({ retryAfterMs: 1_000 })),
  refuse(DatabaseUnavailable, 'unavailable', 'DATABASE_UNAVAILABLE', () => ({
    retryAfterMs: 1_000,
  })),
  refuse(DatabaseContended, 'unavailable', 'DATABASE_UNAVAILABLE', () => ({
    retryAfterMs: 1_000,
  })),
];

/** Each named fact, its code and reason: the sum of what the features and the server refuse. */
export const refusals: readonly Refusal<Reason>[] = [
  ...eventRefusals,
  ...apiKeyRefusals,
  ...workspaceRefusals,
  ...webhookRefusals,
  ...rateLimitRefusals,
  ...serverRefusals,
];
