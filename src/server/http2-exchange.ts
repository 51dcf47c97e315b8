import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { Admission } from './admission.ts';
import { isAuthority } from './authority.ts';
import { beginCall, type Call, callerGone } from './call.ts';
import { drained, inParts, ReaderStalled, readerStalledFailure } from './drained.ts';
import { type Dispatch, type ExchangeResponse, splitTarget, toHeaders, toUrl } from './exchange.ts';
import { badAuthority } from './plain-answers.ts';
import { createRequestBody } from './request-body.ts';

export interface ExchangeDeps {
  readonly dispatch: Dispatch;
  readonly admission: Admission;
  /** The largest body of a path's requests, in bytes. */
  readonly bytesMaxOf: (path: string) => number;
  /** A stream whose reader takes nothing for this time is cut off. */
  readonly stallMsMax: number;
  /** Aborts when the service stops: connections of HTTP/1.1 end with their answer, streams hurry. */
  readonly closing: AbortSignal;
  /** Called once an answer is written, or cannot be. */
  readonly onEnd: (call: Call, path: string, status: number) => void;
}

/** Answers every request of an HTTP/2 server. Works on streams: Node's request objects cost a fifth more. */
export function answerHttp2(server: Http2Server, deps: ExchangeDeps): void {
  server.on('stream', (stream, headers) => {
    // A reset by the peer also arrives as an error; `close` follows either way.
    stream.on('error', () => undefined);
    void answerStream(stream, headers, deps);
  });
}

async function answerStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  deps: ExchangeDeps,
): Promise<void> {
  const { dispatch, admission, bytesMaxOf, onEnd } = deps;
  const call = beginCall(headers['x-request-id'] as string | undefined);
  const { path, query } = splitTarget(headers[':path'] ?? '');
  const body = createRequestBody(stream, bytesMaxOf(path), admission);
  const gone = new AbortController();
  const leave = () => gone.abort(callerGone);
  stream.once('close', leave);
  admission.begin();
  let status = 0;
  try {
    const response = isAuthority(headers[':authority'] ?? headers.host)
      ? await dispatch({
          httpVersion: '2.0',
          method: headers[':method'] ?? '',
          url: toUrl(path, query),
          path,
          query,
          header: toHeaders(headers),
          body,
          signal: gone.signal,
          call,
        })
      : badAuthority(call.requestId);
    status = response.status;
    await write(stream, response, call, deps);
  } catch (error) {
    call.cause ??= error;
    const stalled = error instanceof ReaderStalled;
    if (stalled) call.failure = readerStalledFailure;
    const code = stalled ? constants.NGHTTP2_ENHANCE_YOUR_CALM : constants.NGHTTP2_INTERNAL_ERROR;
    if (!stream.closed) stream.close(code);
  } finally {
    stream.off('close', leave);
    body.release();
    admission.end();
    onEnd(call, path, status);
  }
}

async function write(
  stream: ServerHttp2Stream,
  response: ExchangeResponse,
  call: Call,
  { stallMsMax, closing }: ExchangeDeps,
): Promise<void> {
  if (stream.destroyed || stream.closed) return;
  const { trailer, body } = response;
  const hasTrailers = trailer !== undefined;
  const hurry = response.unary === true ? undefined : closing;
  const chunks = typeof body === 'string' ? undefined : body?.[Symbol.asyncIterator]();
  try {
    // Connect lets handlers add headers until the first chunk is there.
    let chunk = await chunks?.next();
    if (stream.destroyed) return;
    stream.respond(toNodeHeaders(response, call), { waitForTrailers: hasTrailers });
    if (hasTrailers) {
      stream.once('wantTrailers', () => {
        stream.sendTrailers(toNodeTrailers(trailer));
        setImmediate(() => stopReading(stream));
      });
    }
    if (typeof body === 'string') return end(stream, hasTrailers, body);
    while (chunks !== undefined && chunk?.done === false) {
      const { value } = chunk;
      if (response.unary === true) {
        chunk = await chunks.next();
        if (chunk.done === true) return end(stream, hasTrailers, value);
      }
      for (const part of inParts(value)) {
        if (!stream.write(part)) await drained(stream, stallMsMax, hurry);
      }
      if (stream.destroyed) return;
      if (response.unary !== true) chunk = await chunks.next();
    }
    return end(stream, hasTrailers);
  } finally {
    await chunks?.return?.();
  }
}

/**
 * Connect escapes a text as a URL would; gRPC escapes "%" and what is not printable ASCII only, and
 * grpc-js shows every other escape (%3A for a colon) as it is.
 */
function toNodeTrailers(trailer: Headers): Record<string, string> {
  const fields = Object.fromEntries(trailer);
  const message = fields['grpc-message'];
  if (message === undefined) return fields;
  const needless = /%(?:2[0-46-9A-F]|[3-6][0-9A-F]|7[0-9A-E])/g;
  return { ...fields, 'grpc-message': message.replace(needless, decodeURIComponent) };
}

function toNodeHeaders(response: ExchangeResponse, call: Call): Record<string, string | number> {
  const headers: Record<string, string | number> = {
    ':status': response.status,
    'x-request-id': call.requestId,
  };
  response.header.forEach((value, name) => {
    headers[name] = value;
  });
  return headers;
}

function end(stream: ServerHttp2Stream, hasTrailers: boolean, chunk?: string | Uint8Array): void {
  // With trailers the stream is not at its end yet; whoever sends them goes on from there.
  if (!hasTrailers) stream.once('finish', () => stopReading(stream));
  if (chunk === undefined) stream.end();
  else stream.end(chunk);
}

/** Tells a peer that is still sending that nobody reads on. */
function stopReading(stream: ServerHttp2Stream): void {
  if (!stream.readableEnded && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
}
