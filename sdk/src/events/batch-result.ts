import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../../gen/typescript/google/rpc/error_details_pb.ts';
import type {
  BatchCreateEventsError,
  BatchCreateEventsResult,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { InternalError } from '../errors.ts';
import type { PayloadKeys } from '../payload-keys.ts';
import type { CallFacts, Translation } from '../to-harbor-error.ts';
import type { BatchResult } from './batch.ts';
import { createdEventFromMessage, invalidResponse } from './from-message.ts';

/** What a result is read with. */
export interface BatchReading {
  readonly payloadKeys: PayloadKeys;
  readonly toHarborError: Translation;
  /** The x-request-id of the answer. */
  readonly requestId: string | undefined;
}

/** The result in the caller's terms. Never throws: what cannot be read is an error of its item alone. */
export function batchResultFromMessage<Payload extends object>(
  { result }: BatchCreateEventsResult,
  call: CallFacts,
  reading: BatchReading,
): BatchResult<Payload> {
  const sent = { idempotencyKey: call.idempotencyKey };
  switch (result.case) {
    case 'created':
      return createdResult(() =>
        createdEventFromMessage<Payload>(result.value, reading.payloadKeys, sent),
      );
    case 'error': {
      const error = toConnectError(result.value, reading.requestId);
      return { ok: false, error: reading.toHarborError(error, call) };
    }
    default:
      return { ok: false, error: invalidResponse('holds no result for an event', sent) };
  }
}

function createdResult<Payload extends object>(
  read: () => Extract<BatchResult<Payload>, { ok: true }>['event'],
): BatchResult<Payload> {
  try {
    return { ok: true, event: read() };
  } catch (error) {
    if (error instanceof InternalError) return { ok: false, error };
    throw error;
  }
}

/** The same error that a single create would have been answered with, so that one translation does. */
function toConnectError(
  { code, reason, message, metadata, fieldViolations, retryDelay }: BatchCreateEventsError,
  requestId: string | undefined,
): ConnectError {
  const error = new ConnectError(
    message,
    code in Code ? code : Code.Unknown,
    requestId === undefined ? {} : { 'x-request-id': requestId },
    [
      { desc: ErrorInfoSchema, value: { reason, domain: 'harbor.events', metadata } },
      { desc: BadRequestSchema, value: { fieldViolations } },
      ...(retryDelay === undefined ? [] : [{ desc: RetryInfoSchema, value: { retryDelay } }]),
    ],
  );
  // It is one: it came inside of an answer.
  error.isWireError = true;
  return error;
}
