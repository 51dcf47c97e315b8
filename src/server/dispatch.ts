import type { Validator } from '@bufbuild/protovalidate';
import { createContextValues } from '@connectrpc/connect';
import {
  createMethodUrl,
  type UniversalHandler,
  type UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import { Health as HealthService } from '../../gen/typescript/health/v1/health_pb.ts';
import { callKey } from './calls/call.ts';
import { methodNotAllowed, unsupportedMediaType } from './errors/plain-answers.ts';
import type { Health } from './health/health.ts';
import { createHealthChecks } from './health/health-checks.ts';
import { answerProbe } from './health/probes.ts';
import { createRestFace } from './rest/rest-face.ts';
import { checkConnectGet } from './rpc/connect-get.ts';
import { writeEnd } from './rpc/connect-internals.ts';
import type { Handlers } from './rpc/router.ts';
import { readTimeoutMs } from './rpc/timeout-header.ts';
import type { Streams } from './streams/open-streams.ts';
import { createRpcStream } from './streams/rpc-stream.ts';
import type { GuardedUnary } from './unary/guarded-unary.ts';
import { type Begun, createRpcUnary } from './unary/rpc-unary.ts';
import {
  type Dispatch,
  type ExchangeRequest,
  type ExchangeResponse,
  unbuffered,
} from './wire/exchange.ts';
import type { Inflation } from './wire/inflation.ts';

const checkPath = createMethodUrl('/', HealthService.method.check);

export interface DispatchDeps {
  readonly handlers: Handlers;
  readonly streams: Streams;
  readonly unaries: readonly GuardedUnary[];
  readonly inflation: Inflation;
  readonly health: Health;
  readonly validator: Validator;
}

/** Finds who answers a request: an RPC, a probe (`/healthz`, `/readyz`), or the REST face. */
export function createDispatch(deps: DispatchDeps): Dispatch {
  const { handlers, streams, unaries, inflation, health } = deps;
  const rest = createRestFace({ ...deps, handlers: handlers.rest });
  const healthChecks = createHealthChecks();
  const answerCheck: AnswerRpc = (handler, request) =>
    healthChecks.run(request.body, (body) => runRpc(handler, request, { body }));
  const answers = new Map<string, AnswerRpc>();
  for (const unary of unaries) {
    const path = createMethodUrl('/', unary.method);
    answers.set(path, createRpcUnary(unary, inflation.compressions, runRpc));
  }
  answers.set(checkPath, answerCheck);
  for (const stream of streams.all) {
    answers.set(createMethodUrl('/', stream.method), createRpcStream(stream, inflation));
  }
  return async (request) => {
    const { path, method, call } = request;
    const handler = handlers.rpc.get(path);
    if (handler !== undefined) {
      call.rpc = handler.method;
      const { allowedMethods } = handler;
      if (!allowedMethods.includes(method)) return methodNotAllowed(request, allowedMethods);
      const answer = answers.get(path) ?? runRpc;
      const response = await answer(handler, request);
      return response.status === 415
        ? unsupportedMediaType(request, contentTypesOf(handler))
        : response;
    }
    return answerProbe(request, health) ?? rest(request);
  };
}

/** Streams of Connect have content types of their own, since their messages are in envelopes. */
function contentTypesOf({ method }: UniversalHandler): readonly string[] {
  const ofConnect =
    method.methodKind === 'unary'
      ? ['application/json', 'application/proto']
      : ['application/connect+json', 'application/connect+proto'];
  return [...ofConnect, 'application/grpc', 'application/grpc-web'];
}

type AnswerRpc = (handler: UniversalHandler, request: ExchangeRequest) => Promise<ExchangeResponse>;

async function runRpc(
  handler: UniversalHandler,
  request: ExchangeRequest,
  begun: Partial<Begun> = {},
): Promise<ExchangeResponse> {
  const response = await runHandler(handler, request, begun);
  const header = response.header ?? new Headers();
  const unary = handler.method.methodKind === 'unary';
  if (!unary) header.set(...unbuffered);
  return { ...response, header, unary };
}

async function runHandler(
  handler: UniversalHandler,
  request: ExchangeRequest,
  {
    body = request.body,
    values = createContextValues().set(callKey, request.call),
  }: Partial<Begun>,
): Promise<UniversalServerResponse> {
  try {
    readTimeoutMs(request.header);
    if (request.method === 'GET') checkConnectGet(request.query);
  } catch (error) {
    const contentType = request.header.get('content-type') ?? 'application/json';
    return writeEnd(handler, { contentType, call: request.call, error });
  }
  return handler({
    httpVersion: request.httpVersion,
    method: request.method,
    url: request.url,
    header: request.header,
    body,
    signal: request.signal,
    contextValues: values,
  });
}
