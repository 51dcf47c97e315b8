import { createContextValues } from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { openedStreamKey } from '../events/index.ts';
import { callKey } from './call.ts';
import type { Dispatch, ExchangeRequest, ExchangeResponse } from './exchange.ts';
import type { Health } from './health.ts';
import { json, methodNotAllowed } from './plain-answers.ts';
import { createRestFace } from './rest/rest-face.ts';
import type { Handlers } from './router.ts';
import { createStreamWriter } from './rpc-stream.ts';

/** Finds who answers a request: an RPC, `GET /healthz`, or the REST face. */
export function createDispatch(handlers: Handlers, health: Health): Dispatch {
  const rest = createRestFace(handlers.rest);
  const writeStream = createStreamWriter();

  async function runRpc(
    handler: UniversalHandler,
    request: ExchangeRequest,
  ): Promise<ExchangeResponse> {
    if (!handler.allowedMethods.includes(request.method)) {
      return methodNotAllowed(request, handler.allowedMethods);
    }
    const contextValues = createContextValues().set(callKey, request.call);
    const response = await handler({
      httpVersion: request.httpVersion,
      method: request.method,
      url: request.url,
      header: request.header,
      body: request.body,
      signal: request.signal,
      contextValues,
    });
    const opened = contextValues.get(openedStreamKey);
    if (opened !== undefined) return writeStream(response, opened, handler, request);
    const header = response.header ?? new Headers();
    return { ...response, header, unary: handler.method.methodKind === 'unary' };
  }

  return async (request) => {
    const handler = handlers.rpc.get(request.path);
    if (handler !== undefined) return runRpc(handler, request);
    if (request.path === '/healthz') return answerHealthz(request, health);
    return rest(request);
  };
}

function answerHealthz(request: ExchangeRequest, health: Health): ExchangeResponse {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return methodNotAllowed(request, ['GET']);
  }
  return health.serving ? json(200, { status: 'SERVING' }) : json(503, { status: 'NOT_SERVING' });
}
