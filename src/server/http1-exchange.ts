import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isAuthority } from './authority.ts';
import { beginCall, type Call, callerGone } from './call.ts';
import { drained, inParts, ReaderStalled, readerStalledFailure } from './drained.ts';
import { type ExchangeResponse, splitTarget, toHeaders, toUrl } from './exchange.ts';
import type { ExchangeDeps } from './http2-exchange.ts';
import { badAuthority } from './plain-answers.ts';
import { createRequestBody } from './request-body.ts';

/** Answers every request of an HTTP/1.1 server. */
export function answerHttp1(server: Server, deps: ExchangeDeps): void {
  server.on('request', (request, response) => {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    void answerRequest(request, response, deps);
  });
}

async function answerRequest(
  request: IncomingMessage,
  nodeResponse: ServerResponse,
  deps: ExchangeDeps,
): Promise<void> {
  const { dispatch, admission, bytesMaxOf, closing, onEnd } = deps;
  const requestId = request.headers['x-request-id'];
  const call = beginCall(typeof requestId === 'string' ? requestId : undefined);
  const { path, query } = splitTarget(request.url ?? '');
  const body = createRequestBody(request, bytesMaxOf(path), admission);
  const gone = new AbortController();
  const leave = () => gone.abort(callerGone);
  nodeResponse.once('close', leave);
  admission.begin();
  let status = 0;
  try {
    const response = isAuthority(hostOf(request))
      ? await dispatch({
          httpVersion: request.httpVersion,
          method: request.method ?? '',
          url: toUrl(path, query),
          path,
          query,
          header: toHeaders(request.headers),
          body,
          signal: gone.signal,
          call,
        })
      : badAuthority(call.requestId);
    status = response.status;
    if (closing.aborted) nodeResponse.setHeader('connection', 'close');
    await write(request, nodeResponse, response, call, deps);
  } catch (error) {
    call.cause ??= error;
    if (error instanceof ReaderStalled) call.failure = readerStalledFailure;
    nodeResponse.destroy();
  } finally {
    nodeResponse.off('close', leave);
    body.release();
    admission.end();
    onEnd(call, path, status);
  }
}

/** The one Host that a request has; undefined when it has none or, to mislead someone on its way, several. */
function hostOf({ headers, rawHeaders }: IncomingMessage): string | undefined {
  const names = rawHeaders.filter(
    (name, index) => index % 2 === 0 && name.toLowerCase() === 'host',
  );
  return names.length === 1 ? headers.host : undefined;
}

async function write(
  request: IncomingMessage,
  nodeResponse: ServerResponse,
  response: ExchangeResponse,
  call: Call,
  { stallMsMax, closing }: ExchangeDeps,
): Promise<void> {
  if (nodeResponse.destroyed) return;
  const { trailer, body } = response;
  const hurry = response.unary === true ? undefined : closing;
  const chunks = typeof body === 'string' ? undefined : body?.[Symbol.asyncIterator]();
  try {
    let chunk = await chunks?.next();
    if (nodeResponse.destroyed) return;
    nodeResponse.setHeader('x-request-id', call.requestId);
    response.header.forEach((value, name) => {
      nodeResponse.setHeader(name, value);
    });
    // A body that nobody has read cannot be skipped: the connection ends with this answer.
    if (!request.complete) nodeResponse.setHeader('connection', 'close');
    nodeResponse.writeHead(response.status);
    if (typeof body === 'string') return end(request, nodeResponse, body);
    while (chunks !== undefined && chunk?.done === false) {
      const { value } = chunk;
      if (response.unary === true) {
        chunk = await chunks.next();
        if (chunk.done === true) return end(request, nodeResponse, value);
      }
      for (const part of inParts(value)) {
        if (!nodeResponse.write(part)) await drained(nodeResponse, stallMsMax, hurry);
      }
      if (nodeResponse.destroyed) return;
      if (response.unary !== true) chunk = await chunks.next();
    }
    if (trailer !== undefined) nodeResponse.addTrailers(Object.fromEntries(trailer));
    end(request, nodeResponse);
  } finally {
    await chunks?.return?.();
  }
}

function end(
  request: IncomingMessage,
  nodeResponse: ServerResponse,
  chunk?: string | Uint8Array,
): void {
  if (!request.complete) nodeResponse.once('finish', () => request.socket.destroySoon());
  nodeResponse.end(chunk);
}
