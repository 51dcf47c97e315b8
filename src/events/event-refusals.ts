import { refuse } from '../refusal.ts';
import {
  AppendAbandoned,
  AppendContended,
  AppendQueueFull,
  EventNotFound,
  EventTypeReserved,
  EventWorkspaceMissing,
  IdempotencyKeyReused,
  IdempotencyKeyTaken,
  LogGap,
  LogSetBack,
  OwnEventNotErasable,
  SequenceExpired,
  SequenceInFuture,
  ShuttingDown,
} from './event-errors.ts';
import { PayloadInvalid, PayloadTooLarge, payloadBytesMax } from './payload.ts';

/** What callers are told when events cannot be written or read. */
export const eventRefusals = [
  refuse(EventTypeReserved, 'invalid_argument', 'INVALID_REQUEST', (e) => ({
    violation: { field: 'type', description: e.rule },
  })),
  refuse(PayloadInvalid, 'invalid_argument', 'PAYLOAD_INVALID', (e) => ({
    violation: { field: e.path, description: e.rule },
  })),
  refuse(PayloadTooLarge, 'invalid_argument', 'PAYLOAD_TOO_LARGE', (e) => ({
    metadata: { payload_bytes: `${e.payloadBytes}`, payload_bytes_max: `${payloadBytesMax}` },
    violation: {
      field: 'payload',
      description: `must be at most ${payloadBytesMax} bytes of JSON`,
    },
  })),
  refuse(EventWorkspaceMissing, 'not_found', 'WORKSPACE_NOT_FOUND', (e) => ({
    metadata: { workspace_id: e.workspaceId },
  })),
  refuse(EventNotFound, 'not_found', 'EVENT_NOT_FOUND', (e) => ({
    metadata: { event_id: e.eventId },
  })),
  refuse(OwnEventNotErasable, 'permission_denied', 'EVENT_TYPE_NOT_ALLOWED', (e) => ({
    metadata: { type: e.type },
  })),
  refuse(IdempotencyKeyReused, 'already_exists', 'IDEMPOTENCY_KEY_REUSED', (e) => ({
    metadata: { event_id: e.eventId, expires_at: e.expiresAt.toISOString() },
  })),
  refuse(IdempotencyKeyTaken, 'already_exists', 'IDEMPOTENCY_KEY_REUSED'),
  refuse(AppendQueueFull, 'resource_exhausted', 'OVERLOADED', () => ({ retryAfterMs: 1_000 })),
  refuse(AppendContended, 'unavailable', 'DATABASE_UNAVAILABLE', () => ({ retryAfterMs: 1_000 })),
  refuse(ShuttingDown, 'unavailable', 'SHUTTING_DOWN', () => ({ retryAfterMs: 1_000 })),
  refuse(SequenceInFuture, 'out_of_range', 'SEQUENCE_IN_FUTURE', (e) => ({
    metadata: { last_sequence: `${e.lastSequence}` },
    violation: {
      field: e.field,
      description: 'must not be higher than the newest sequence',
    },
  })),
  refuse(SequenceExpired, 'out_of_range', 'SEQUENCE_EXPIRED', (e) => ({
    metadata: { first_sequence: `${e.firstSequence}` },
    ...(e.field !== undefined && {
      violation: { field: e.field, description: 'must not lie before what retention keeps' },
    }),
  })),
  refuse(LogGap, 'data_loss', 'LOG_GAP', (e) => ({
    metadata: { workspace_id: e.workspaceId, after_sequence: `${e.afterSequence}` },
  })),
  refuse(LogSetBack, 'data_loss', 'LOG_SET_BACK', (e) => ({
    metadata: { workspace_id: e.workspaceId, last_sequence: `${e.lastSequence}` },
  })),
  refuse(AppendAbandoned, 'deadline_exceeded', 'DEADLINE_EXCEEDED'),
];
