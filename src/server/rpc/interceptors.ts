import { type DescMessage, getOption, type Message } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import type { ValidationError, Validator, Violation } from '@bufbuild/protovalidate';
import type { ConnectError, Interceptor, StreamRequest } from '@connectrpc/connect';
import { createValidateInterceptor } from '@connectrpc/validate';
import { rule } from '../../../gen/typescript/harbor/rules/v1/rule_pb.ts';
import { callKey } from '../calls/call.ts';
import { recordFailure } from '../calls/request-gate.ts';
import { invalidRequest } from '../errors/errors.ts';
import { findBrokenRules } from './connect-internals.ts';

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
    const message = untilAborted(whileReadable(streaming.message), streaming.signal);
    return { ...streaming, message };
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

/** Ends with the reason of `signal`, such as the call's deadline, also while the next message is waited for. */
function untilAborted<T>(messages: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  let stopWaiting: (reason: unknown) => void = () => undefined;
  signal.addEventListener('abort', () => stopWaiting(signal.reason), { once: true });
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      return {
        next() {
          const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T>>();
          stopWaiting = reject;
          if (signal.aborted) reject(signal.reason);
          else iterator.next().then(resolve, reject);
          return promise;
        },
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}

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
  const broken = findBrokenRules(error);
  return broken === undefined ? error : toInvalidRequest(broken);
}

function toInvalidRequest(error: ValidationError): ConnectError {
  const told = error.violations.map(toFieldViolation);
  // A text can break two rules, which have one sentence.
  const violations = [...new Map(told.map((one) => [JSON.stringify(one), one])).values()];
  const ofPayload = violations.every(({ field }) => field === 'payload');
  return invalidRequest(ofPayload ? 'PAYLOAD_INVALID' : 'INVALID_REQUEST', violations);
}

function toFieldViolation(violation: Violation): { field: string; description: string } {
  return { field: pathToString(violation.field), description: describeRule(violation) };
}

/** Patterns are for machines; people get the sentence that stands beside them in the contract. */
function describeRule({ field, ruleId, message }: Violation): string {
  const violated = field.findLast((step) => step.kind === 'field');
  if (violated === undefined || !ruleId.startsWith('string.')) return message;
  return getOption(violated, rule) || message;
}
