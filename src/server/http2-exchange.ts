import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { Admission } from './admission.ts';
import { isAuthority } from './authority.ts';
import { beginCall, type Call } from './call.ts';
import { type Dispatch, type ExchangeResponse, splitTarget, toHeaders, toUrl } from './exchange.ts';
import { badAuthority } from './plain-answers.ts';
import { createRequestBody } from './request-body.ts';

export interface ExchangeDeps {
  readonly dispatch: Dispatch;
  readonly admission: Admission;
  /** The largest body of a path's requests, in bytes. */
  readonly bytesMaxOf: (path: string) => number;
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
  { dispatch, admission, bytesMaxOf, onEnd }: ExchangeDeps,
): Promise<void> {
  const call = beginCall(headers['x-request-id'] as string | undefined);
  const { path, query } = splitTarget(headers[':path'] ?? '');
  const body = createRequestBody(stream, bytesMaxOf(path), admission);
  const gone = new AbortController();
  const leave = () => gone.abort(gone);
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
    await write(stream, response, call);
  } catch (error) {
    call.cause ??= error;
    if (!stream.closed) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  } finally {
    stream.off('close', leave);
    body.release();
    admission.end();
    onEnd(call, path, status);
  }
}

async function write(stream: ServerHttp2Stream, response: ExchangeResponse, call: Call) {
  if (stream.destroyed || stream.closed) return;
  const { trailer, body } = response;
  const chunks = typeof body === 'string' ? undefined : body?.[Symbol.asyncIterator]();
  try {
    // Connect lets handlers add headers until the first chunk is there.
    let chunk = await chunks?.next();
    if (stream.destroyed) return;
    stream.respond(toNodeHeaders(response, call), { waitForTrailers: trailer !== undefined });
    if (trailer !== undefined) {
      stream.once('wantTrailers', () => stream.sendTrailers(Object.fromEntries(trailer)));
    }
    if (typeof body === 'string') return end(stream, body);
    while (chunks !== undefined && chunk?.done === false) {
      const { value } = chunk;
      if (response.unary === true) {
        chunk = await chunks.next();
        if (chunk.done === true) return end(stream, value);
      }
      if (!stream.write(value)) await drained(stream);
      if (stream.destroyed) return;
      if (response.unary !== true) chunk = await chunks.next();
    }
    return end(stream);
  } finally {
    await chunks?.return?.();
  }
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

/** Ends the answer, and tells a peer that is still sending that nobody reads on. */
function end(stream: ServerHttp2Stream, chunk?: string | Uint8Array): void {
  const unread = !stream.readableEnded;
  if (unread) stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
  if (chunk === undefined) stream.end();
  else stream.end(chunk);
}

/** Resolves when the stream takes more, or is gone. */
function drained(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    if (stream.destroyed) resolve();
    else stream.on('drain', done).on('close', done);
  });
}
