import { createContextValues } from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { createMethodUrl } from '@connectrpc/connect/protocol';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { callKey } from '../calls/call.ts';
import { recordFailure } from '../calls/request-gate.ts';
import { json, methodNotAllowed, notFound, unsupportedMediaType } from '../errors/plain-answers.ts';
import { readTimeoutMs } from '../rpc/timeout-header.ts';
import type { Streams } from '../streams/open-streams.ts';
import type { ExchangeRequest, ExchangeResponse } from '../wire/exchange.ts';
import { decodePercent } from '../wire/parameters.ts';
import { createEventStream, eventStreamPath } from './event-stream.ts';
import { openApi } from './openapi.ts';
import { readError, toProblem } from './problem.ts';
import { inWordsOf } from './query.ts';
import { requestBody } from './request-json.ts';
import { type RestRoute, restRoutes } from './rest-routes.ts';

/**
 * The REST face: a translation of the RPCs, which runs the same handlers behind the same gate,
 * validation and errors. Answers undefined for a path that is not its own.
 */
export function createRestFace(handlers: ReadonlyMap<string, UniversalHandler>, streams: Streams) {
  const document = json(200, openApi());
  const stream = streams.find(EventsService.method.subscribeEvents);
  const streamEvents = stream && createEventStream(stream);

  return async (request: ExchangeRequest): Promise<ExchangeResponse> => {
    if (request.path === '/openapi.json') {
      return request.method === 'GET'
        ? { ...document, header: new Headers(document.header), isShared: true }
        : methodNotAllowed(request, ['GET']);
    }
    if (streamEvents && request.path === eventStreamPath) return streamEvents(request);
    const here = restRoutes.filter((route) => route.path.test(request.path));
    if (here.length === 0) return notFound(request);
    const route = here.find(({ method }) => method === request.method);
    if (route === undefined) {
      return methodNotAllowed(
        request,
        here.map(({ method }) => method),
      );
    }
    if (route.toRequest === undefined && !isJson(request)) return unsupportedMediaType(request);
    const handler = handlers.get(createMethodUrl('/', route.rpc));
    if (handler === undefined) return notFound(request);
    try {
      readTimeoutMs(request.header);
    } catch (error) {
      return toProblem(recordFailure(request.call, error), request.call.requestId);
    }
    return answer(route, await run(handler, route, request), request);
  };
}

function isJson(request: ExchangeRequest): boolean {
  const type = request.header.get('content-type') ?? '';
  return /^application\/json *(;.*)?$/i.test(type);
}

/** Runs the RPC as a Connect call with JSON on both sides. */
function run(
  handler: UniversalHandler,
  route: RestRoute,
  request: ExchangeRequest,
): Promise<UniversalServerResponse> {
  const header = new Headers(request.header);
  header.set('content-type', 'application/json');
  // Whatever is compressed here would be inflated again for the translation. Where the header is missing,
  // Connect answers in the encoding of the request.
  header.set('accept-encoding', 'identity');
  let body: AsyncIterable<Uint8Array> = request.body;
  if (route.toRequest !== undefined) {
    const { groups = {} } = route.path.exec(request.path) ?? {};
    const { toRequest } = route;
    body = requestBody(() => JSON.stringify(toRequest(decodeGroups(groups), request)));
    header.delete('content-length');
    header.delete('content-encoding');
  }
  return handler({
    httpVersion: request.httpVersion,
    method: 'POST',
    url: request.url,
    header,
    body,
    signal: request.signal,
    contextValues: createContextValues().set(callKey, request.call),
  });
}

async function answer(
  route: RestRoute,
  response: UniversalServerResponse,
  request: ExchangeRequest,
): Promise<ExchangeResponse> {
  const text = await readText(response);
  if (response.status !== 200) {
    return toProblem(readError(text), request.call.requestId, inWordsOf(request.query));
  }
  const { status, value, headers } = route.toAnswer(JSON.parse(text));
  return json(status, value, headers);
}

async function readText(response: UniversalServerResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function decodeGroups(groups: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(groups).map(([name, value]) => [name, decodePercent(value, name)]),
  );
}
