import type { Validator } from '@bufbuild/protovalidate';
import { createContextValues } from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { createMethodUrl } from '@connectrpc/connect/protocol';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { callKey } from '../calls/call.ts';
import { recordFailure } from '../calls/request-gate.ts';
import { json, methodNotAllowed, notFound, unsupportedMediaType } from '../errors/plain-answers.ts';
import { readTimeoutMs } from '../rpc/timeout-header.ts';
import type { Streams } from '../streams/open-streams.ts';
import type { GuardedUnary } from '../unary/guarded-unary.ts';
import type { ExchangeRequest, ExchangeResponse } from '../wire/exchange.ts';
import { toAnswerJson } from './answer-json.ts';
import { createEventStream } from './event-stream.ts';
import { givenFieldsKey } from './given-fields.ts';
import { openApi } from './openapi.ts';
import { readError, toProblem } from './problem.ts';
import { inWordsOf } from './query.ts';
import { addRateLimits } from './rate-limit-headers.ts';
import { mannerOf } from './rest-manners.ts';
import { announcesNoBody, givenFields, requestBody } from './rest-request.ts';
import { type RestRoute, readRoutes, routesAt } from './rest-routes.ts';
import { createRestUnary, type RestCall } from './rest-unary.ts';

export interface RestFaceDeps {
  readonly handlers: ReadonlyMap<string, UniversalHandler>;
  readonly streams: Streams;
  readonly unaries: readonly GuardedUnary[];
  readonly validator: Validator;
}

/**
 * The REST face: a translation of the RPCs, which runs the same handlers behind the same gate,
 * validation and errors. Routes are what the contract annotates.
 */
export function createRestFace({ handlers, streams, unaries, validator }: RestFaceDeps) {
  const stream = streams.find(EventsService.method.subscribeEvents);
  const streamEvents = stream && createEventStream(stream);
  const rpcs = [...handlers.values()].map(({ method }) => method);
  const routes = readRoutes(
    rpcs.filter((rpc) => rpc.methodKind === 'unary' || rpc === stream?.method),
  );
  const unaryOf = new Map(unaries.map((unary) => [unary.method, createRestUnary(unary)]));
  const document = json(200, openApi(routes, validator));

  return async (request: ExchangeRequest): Promise<ExchangeResponse> => {
    if (request.path === '/openapi.json') {
      return request.method === 'GET'
        ? { ...document, header: new Headers(document.header), isShared: true }
        : methodNotAllowed(request, ['GET']);
    }
    const here = routesAt(routes, request.path);
    if (here.length === 0) return notFound(request);
    const route = here.find(({ method }) => method === request.method);
    if (route === undefined) {
      return methodNotAllowed(
        request,
        here.map(({ method }) => method),
      );
    }
    request.call.rpc = route.rpc;
    request.call.protocol = 'rest';
    if (streamEvents && route.rpc.methodKind !== 'unary') return streamEvents(route, request);
    if (route.hasBody && !isJson(request) && !announcesNoBody(request)) {
      return unsupportedMediaType(request);
    }
    const handler = handlers.get(createMethodUrl('/', route.rpc));
    if (handler === undefined) return notFound(request);
    let timeoutMs: number | undefined;
    try {
      timeoutMs = readTimeoutMs(request.header);
    } catch (error) {
      return toProblem(recordFailure(request.call, error), request.call.requestId);
    }
    const values = createContextValues().set(callKey, request.call);
    const call = { route, request, values, timeoutMs };
    const answerUnary = isCompressed(route, request) ? undefined : unaryOf.get(route.rpc);
    const response = await (answerUnary?.(call) ?? answerByConnect(handler, call));
    addRateLimits(response.header, values);
    return response;
  };
}

/** Inflating is Connect's. */
function isCompressed({ hasBody }: RestRoute, { header }: ExchangeRequest): boolean {
  return hasBody && (header.get('content-encoding') ?? 'identity') !== 'identity';
}

function isJson(request: ExchangeRequest): boolean {
  const type = request.header.get('content-type') ?? '';
  return /^application\/json *(;.*)?$/i.test(type);
}

async function answerByConnect(handler: UniversalHandler, call: RestCall) {
  return answer(call.route, await run(handler, call), call.request);
}

/** Runs the RPC as a Connect call with JSON on both sides. */
function run(
  handler: UniversalHandler,
  { route, request, values }: RestCall,
): Promise<UniversalServerResponse> {
  const header = new Headers(request.header);
  header.set('content-type', 'application/json');
  // Whatever is compressed here would be inflated again for the translation. Where the header is missing,
  // Connect answers in the encoding of the request.
  header.set('accept-encoding', 'identity');
  if (route.hasBody) values.set(givenFieldsKey, () => givenFields(route, request));
  else {
    header.delete('content-length');
    header.delete('content-encoding');
  }
  return handler({
    httpVersion: request.httpVersion,
    method: 'POST',
    url: request.url,
    header,
    body: route.hasBody ? request.body : requestBody(route, request),
    signal: request.signal,
    contextValues: values,
  });
}

async function answer(
  route: RestRoute,
  { status, header, body }: UniversalServerResponse,
  { call, query }: ExchangeRequest,
): Promise<ExchangeResponse> {
  const text = await readText(body ?? []);
  if (status !== 200) return toProblem(readError(text), call.requestId, inWordsOf(route, query));
  const response = JSON.parse(text);
  const manner = mannerOf(route.rpc);
  const caching = header?.get('cache-control');
  return json(manner.statusOf(response), toAnswerJson(route, response), {
    ...manner.headersOf(response),
    ...(caching && { 'cache-control': caching }),
  });
}

async function readText(body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
