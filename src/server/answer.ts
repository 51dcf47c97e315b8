import type { Readable, Writable } from 'node:stream';
import type { Admission } from './admission.ts';
import { isAuthority } from './authority.ts';
import { beginCall, type Call, callerGone } from './call.ts';
import { drained, inParts, ReaderStalled, readerStalledFailure } from './drained.ts';
import {
  type Dispatch,
  type ExchangeResponse,
  splitTarget,
  type ToHeaders,
  toUrl,
} from './exchange.ts';
import { badAuthority } from './plain-answers.ts';
import { createRequestBody } from './request-body.ts';

export interface AnswerDeps {
  readonly dispatch: Dispatch;
  readonly admission: Admission;
  readonly toHeaders: ToHeaders;
  /** The largest body of a path's requests, in bytes. */
  readonly bytesMaxOf: (path: string) => number;
  /** A stream whose reader takes nothing for this time is cut off. */
  readonly stallMsMax: number;
  /** Aborts when the service stops: connections of HTTP/1.1 end with their answer, streams hurry. */
  readonly closing: AbortSignal;
  /** Called once an answer is written, or cannot be. */
  readonly onEnd: (call: Call, path: string, status: number) => void;
}

/** A request as one version of HTTP has brought it, and the way to answer it. */
export interface Incoming {
  readonly httpVersion: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** `:authority` or `Host`; undefined when there is none, or more than one. */
  readonly authority: string | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly source: Readable;
  readonly sink: Writable;
  writeHead(response: ExchangeResponse, requestId: string): void;
  /** Writes the last chunk and, where there are some, the trailers. */
  end(response: ExchangeResponse, chunk?: string | Uint8Array): void;
  /** Ends an answer that cannot be finished. */
  cutOff(reason: 'stalled' | 'failed'): void;
}

/** Answers one request, whatever happens on the way. Never rejects. */
export async function answer(incoming: Incoming, deps: AnswerDeps): Promise<void> {
  const { admission } = deps;
  const { sink, headers } = incoming;
  const requestId = headers['x-request-id'];
  const call = beginCall(incoming.method, typeof requestId === 'string' ? requestId : undefined);
  const { path, query } = splitTarget(incoming.target);
  const body = createRequestBody(incoming.source, deps.bytesMaxOf(path), admission);
  const gone = new AbortController();
  const leave = () => gone.abort(callerGone);
  sink.once('close', leave);
  admission.begin();
  let status = 0;
  try {
    const response = isAuthority(incoming.authority)
      ? await deps.dispatch({
          httpVersion: incoming.httpVersion,
          method: incoming.method,
          url: toUrl(path, query),
          path,
          query,
          header: deps.toHeaders(headers),
          body,
          signal: gone.signal,
          call,
        })
      : badAuthority(call.requestId);
    status = response.status;
    await write(incoming, response, call.requestId, deps);
  } catch (error) {
    call.cause ??= error;
    const stalled = error instanceof ReaderStalled;
    if (stalled) call.failure = readerStalledFailure;
    incoming.cutOff(stalled ? 'stalled' : 'failed');
  } finally {
    sink.off('close', leave);
    body.release();
    admission.end(call);
    deps.onEnd(call, path, status);
  }
}

/** Pulls the answer chunk by chunk, each when the one before is taken: a slow reader holds one. */
async function write(
  incoming: Incoming,
  response: ExchangeResponse,
  requestId: string,
  { stallMsMax, closing }: AnswerDeps,
): Promise<void> {
  const { sink } = incoming;
  const { body, unary } = response;
  const hurry = unary === true ? undefined : closing;
  const chunks = typeof body === 'string' ? undefined : body?.[Symbol.asyncIterator]();
  try {
    // Connect lets handlers add headers until the first chunk is there.
    let chunk = await chunks?.next();
    if (sink.destroyed) return;
    incoming.writeHead(response, requestId);
    if (typeof body === 'string') return incoming.end(response, body);
    while (chunks !== undefined && chunk?.done === false) {
      const { value } = chunk;
      if (unary === true) {
        chunk = await chunks.next();
        if (chunk.done === true) return incoming.end(response, value);
      }
      for (const part of inParts(value)) {
        if (!sink.write(part)) await drained(sink, stallMsMax, hurry);
      }
      if (sink.destroyed) return;
      if (unary !== true) chunk = await chunks.next();
    }
    incoming.end(response);
  } finally {
    await chunks?.return?.();
  }
}
