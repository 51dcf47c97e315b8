import type { DescMessage, Message } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { ValidationError, type Validator, type Violation } from '@bufbuild/protovalidate';
import { Code, ConnectError, type Interceptor, type StreamRequest } from '@connectrpc/connect';
import { createValidateInterceptor } from '@connectrpc/validate';
import { callKey } from '../calls/call.ts';
import { recordFailure } from '../calls/request-gate.ts';
import { invalidRequest } from '../errors/errors.ts';

/** In the order in which a request passes them; `beforeValidation` may still complete the message. */
export function createInterceptors(
  validator: Validator,
  beforeValidation: readonly Interceptor[] = [],
): Interceptor[] {
  return [translateErrors, ...beforeValidation, createValidateInterceptor({ validator })];
}

/** Every error that a handler throws leaves as what the caller is told. */
const translateErrors: Interceptor = (next) => async (request) => {
  const call = request.contextValues.get(callKey);
  if (call !== undefined) call.isReceived = true;
  try {
    const response = await next(request.stream ? received(request) : request);
    if (!response.stream) return response;
    return { ...response, message: translated(response.message) };
  } catch (error) {
    throw recordFailure(call, asInvalidRequest(error));
  }

  function received(streaming: StreamRequest): StreamRequest {
    return { ...streaming, message: whileReadable(streaming.message) };
  }

  /** Messages of a stream are read when they are asked for, behind this interceptor. */
  async function* whileReadable<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
    try {
      yield* messages;
    } catch (error) {
      if (call !== undefined) call.isReceived = false;
      throw error;
    }
  }

  async function* translated<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
    try {
      yield* messages;
    } catch (error) {
      throw recordFailure(call, asInvalidRequest(error));
    }
  }
};

/**
 * Checks one message against the contract, as the interceptor checks a request.
 *
 * @throws the INVALID_ARGUMENT that a caller is told.
 */
export function createMessageCheck(
  validator: Validator,
): (schema: DescMessage, message: Message) => void {
  return (schema, message) => {
    const result = validator.validate(schema, message);
    if (result.kind === 'valid') return;
    throw result.kind === 'invalid' ? toInvalidRequest(result.error) : result.error;
  };
}

/** Protovalidate's own violations become the BadRequest that every client knows. */
function asInvalidRequest(error: unknown): unknown {
  const violated = error instanceof ConnectError && error.code === Code.InvalidArgument;
  return violated && error.cause instanceof ValidationError ? toInvalidRequest(error.cause) : error;
}

function toInvalidRequest(error: ValidationError): ConnectError {
  const violations = error.violations.map(toFieldViolation);
  const ofPayload = violations.some(({ field }) => field === 'payload');
  return invalidRequest(ofPayload ? 'PAYLOAD_INVALID' : 'INVALID_REQUEST', violations);
}

function toFieldViolation(violation: Violation): { field: string; description: string } {
  const field = pathToString(violation.field);
  return { field, description: describeRule(field, violation) };
}

/** Patterns are for machines; people get the sentence. */
const sentences = new Map([
  ['workspace_id', 'must be ws_ and 1–64 lower-case letters and digits'],
  ['workspace_ids', 'must be ws_ and 1–64 lower-case letters and digits'],
  ['type', 'must be 1–255 characters without control characters and without "*"'],
  ['idempotency_key', 'must be 1–255 printable ASCII characters'],
  ['scopes', 'must be a scope such as events:write'],
  ['type_patterns', 'must be a type, or the beginning of one and a single "*" at its end'],
  ['display_name', 'must be at most 255 characters without control characters'],
]);
const idSentences = new Map([
  ['evt', 'must look like evt_01hzy9q7x8f4kq3d2m5n6p7r8s: evt_ and lower-case letters and digits'],
  ['key', 'must look like key_01hzy9q7x8f4kq3d2m5n6p7r8s: key_ and lower-case letters and digits'],
  ['ws', 'must be ws_ and 1–64 lower-case letters and digits'],
]);

function describeRule(field: string, violation: Violation): string {
  if (!violation.ruleId.startsWith('string.')) return violation.message;
  const name = field.replace(/\[\d+\]$/, '');
  if (name === 'id') {
    const prefix = /\^(\w+?)_/.exec(violation.message)?.[1] ?? '';
    return idSentences.get(prefix) ?? violation.message;
  }
  return sentences.get(name) ?? violation.message;
}
