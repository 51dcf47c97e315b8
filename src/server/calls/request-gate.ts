import { type DescMethod, getOption } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextKey,
  type HandlerContext,
} from '@connectrpc/connect';
import {
  any_api_key,
  required_scope,
} from '../../../gen/typescript/harbor/api_keys/v1/required_scope_pb.ts';
import {
  type Authenticator,
  type Caller,
  callerKey,
  hasScope,
  type LastUsed,
  ScopeMissing,
} from '../../api-keys/index.ts';
import type { RateLimiter } from '../../rate-limits/index.ts';
import { requestIdKey } from '../../request-id.ts';
import { traceContextKey } from '../../trace-context-key.ts';
import type { Tracing } from '../../tracing/tracing.ts';
import { limitError } from '../errors/error-size.ts';
import { addErrorInfo, findRefusal, internalError, reasonOf } from '../errors/errors.ts';
import { explainUnreadable } from '../errors/unreadable-request.ts';
import { codeToString, findEnd, onEnd } from '../rpc/connect-internals.ts';
import type { Admission } from './admission.ts';
import { type Call, callKey } from './call.ts';
import { assertWithinLimits } from './call-limits.ts';

export interface RequestGateDeps {
  readonly authenticator: Authenticator;
  readonly lastUsed: Pick<LastUsed, 'note'>;
  readonly limiter: RateLimiter;
  readonly admission: Admission;
  /** Undefined: no call is traced. */
  readonly tracing?: Pick<Tracing, 'beginCall'> | undefined;
}

/**
 * Refuses whoever has no right to call, and then what is too much; leaves the caller in the values of the
 * call. Runs when the headers of a call are there and before its body is read.
 */
export interface RequestGate {
  /** @throws what the authenticator throws, ScopeMissing, RateLimited, CallsInFlightFull */
  admit(method: DescMethod, header: Headers, values: ContextValues): void | Promise<void>;
}

export function createRequestGate(deps: RequestGateDeps): RequestGate {
  const { authenticator, lastUsed, limiter, admission, tracing } = deps;

  function letIn(method: DescMethod, values: ContextValues, caller: Caller): void {
    const call = values.get(callKey);
    if (call !== undefined) call.apiKeyId = caller.apiKeyId;
    const { scope, name } = needsOf(method);
    if (scope !== '' && !hasScope(caller, scope)) throw new ScopeMissing(scope);
    assertWithinLimits(limiter, { method, caller, values });
    if (tracing !== undefined && call !== undefined) trace(call, name, values);
    admission.admit(call, method.methodKind === 'unary' ? 'unary' : 'stream');
    values.set(callerKey, caller);
    values.set(requestIdKey, call?.requestId ?? '');
    lastUsed.note(caller.apiKeyId);
  }

  /** Only now, from when the call began: what was refused until here crowds out no span of others. */
  function trace(call: Call, rpc: string, values: ContextValues): void {
    const { protocol, requestId, startedAtMs, traceparent, tracestate } = call;
    const span = tracing?.beginCall({
      rpc,
      protocol,
      requestId,
      startedAtMs,
      traceparent,
      tracestate,
    });
    if (span === undefined) return;
    call.trace = span;
    values.set(traceContextKey, span.traceparent);
  }

  /** Whoever shows no key takes no place of those who do; unary calls are bounded by `HealthChecks`. */
  function letInWithoutKey(method: DescMethod, values: ContextValues): void {
    const call = values.get(callKey);
    if (method.methodKind === 'server_streaming') admission.admit(call, 'stream_without_key');
    else if (method.methodKind !== 'unary') admission.admit(call, 'client_stream_without_key');
  }

  const known = new Map<DescMethod, Needs>();
  function needsOf(method: DescMethod): Needs {
    const needs = known.get(method) ?? readNeeds(method);
    known.set(method, needs);
    return needs;
  }

  return {
    admit(method, header, values) {
      if (!needsOf(method).apiKey) return letInWithoutKey(method, values);
      const caller = authenticator.authenticate(header.get('authorization'));
      if (!(caller instanceof Promise)) return letIn(method, values, caller);
      return caller.then((found) => letIn(method, values, found));
    },
  };
}

/** What the contract says that a call needs. */
interface Needs {
  readonly apiKey: boolean;
  /** Empty: none. */
  readonly scope: string;
  /** `package.Service/Method`, as spans are called. */
  readonly name: string;
}

function readNeeds(method: DescMethod): Needs {
  const scope = getOption(method, required_scope);
  const name = `${method.parent.typeName}/${method.name}`;
  return { apiKey: scope !== '' || getOption(method, any_api_key), scope, name };
}

/** Says that a call has passed the gate before it came to Connect. */
export const gatePassedKey = createContextKey(false, {
  description: 'the call has passed the gate',
});

/**
 * The gate as Connect calls it. Sees to it that an error of Connect's own (a body that cannot be parsed, a
 * timeout) leaves with the details that every error carries.
 */
export function toConnectGate(
  gate: RequestGate,
): (context: HandlerContext) => void | Promise<void> {
  return (context) => {
    const call = context.values.get(callKey);
    onEnd(context, (error) => recordFailure(call, error));
    const end = findEnd(context);
    if (end !== undefined)
      return end.error === undefined ? undefined : refuseAtGate(call, end.error);
    if (context.values.get(gatePassedKey)) return undefined;
    try {
      const admitted = gate.admit(context.method, context.requestHeader, context.values);
      return admitted?.catch((error) => refuseAtGate(call, error));
    } catch (error) {
      refuseAtGate(call, error);
    }
  };
}

function refuseAtGate(call: Call | undefined, error: unknown): never {
  throw recordFailure(call, error);
}

/** Turns whatever was thrown into what the caller is told, and notes it for the log. */
export function recordFailure(call: Call | undefined, error: unknown): ConnectError {
  const answer = toAnswer(call, error);
  limitError(answer);
  if (call !== undefined) {
    const reason = reasonOf(answer) ?? 'INTERNAL';
    call.failure = { code: codeToString(countedCodeOf(answer.code, reason)), reason };
  }
  return answer;
}

/**
 * gRPC has callers told of one mistake of theirs that it was internal (see `explainUnreadable`). The operator, who is woken
 * for faults of the service, is not: anybody can make it, without a key too.
 */
function countedCodeOf(code: Code, reason: string): Code {
  return code === Code.Internal && reason === 'INVALID_REQUEST' ? Code.InvalidArgument : code;
}

function toAnswer(call: Call | undefined, error: unknown): ConnectError {
  const refusal = findRefusal(error);
  if (refusal !== undefined) {
    if (call !== undefined) call.cause = (error as Error).cause;
    return refusal;
  }
  if (error instanceof ConnectError) {
    if (call?.isReceived !== true && reasonOf(error) === undefined) explainUnreadable(error);
    addErrorInfo(error);
    return error;
  }
  if (call !== undefined) call.cause = error;
  return internalError(call?.requestId ?? '', error);
}
