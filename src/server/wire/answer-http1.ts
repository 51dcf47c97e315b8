import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type AnswerDeps, answer, type Incoming } from './answer.ts';

/** Answers every request of an HTTP/1.1 server. */
export function answerHttp1(server: Server, deps: AnswerDeps): void {
  server.on('request', (request, response) => {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    void answer(toIncoming(request, response, deps.closing), deps);
  });
}

function toIncoming(
  request: IncomingMessage,
  nodeResponse: ServerResponse,
  closing: AbortSignal,
): Incoming {
  return {
    httpVersion: request.httpVersion,
    method: request.method ?? '',
    target: request.url ?? '',
    authority: hostOf(request),
    headers: request.headers,
    source: request,
    connection: request.socket,
    sink: nodeResponse,
    writeHead({ status, header, trailer }, requestId, length) {
      nodeResponse.setHeader('x-request-id', requestId);
      header.forEach((value, name) => {
        nodeResponse.setHeader(name, value);
      });
      // A body may be without end: the connection ends with this answer.
      if (!request.complete || closing.aborted) nodeResponse.setHeader('connection', 'close');
      if (!request.complete && length !== undefined && trailer === undefined) {
        nodeResponse.setHeader('content-length', length);
      }
      nodeResponse.writeHead(status);
    },
    end({ trailer }, chunk) {
      if (trailer !== undefined) nodeResponse.addTrailers(Object.fromEntries(trailer));
      const isWhole = nodeResponse.hasHeader('content-length');
      if (request.complete || chunk === undefined || !isWhole) return void nodeResponse.end(chunk);
      nodeResponse.write(chunk);
      whenSent(request, () => nodeResponse.end());
    },
    cutOff() {
      nodeResponse.destroy();
      // An answer that waits behind another one has no socket yet. Node reads nothing of it while such answers
      // are large, so that nobody would notice that its peer has left, and what is in front stays for ever.
      request.socket.destroy();
    },
  };
}

/** A client that has sent nothing for this time is not sending any more. */
const quietMs = 500;

/**
 * Calls back when the rest of a request has come, or nothing comes any more. Many clients read the answer only
 * when they have sent all; a connection that ended before would take it from them. Node ends a request
 * that takes longer than its time limit.
 */
function whenSent(request: IncomingMessage, goOn: () => void): void {
  const more = () => void timer.refresh();
  const done = () => {
    clearTimeout(timer);
    request.off('data', more).off('end', done).off('close', done);
    goOn();
  };
  const timer = setTimeout(done, quietMs);
  request.on('data', more).on('end', done).on('close', done);
}

/** The one Host that a request has; undefined when it has none or, to mislead someone on its way, several. */
function hostOf({ headers, rawHeaders }: IncomingMessage): string | undefined {
  const names = rawHeaders.filter(
    (name, index) => index % 2 === 0 && name.toLowerCase() === 'host',
  );
  return names.length === 1 ? headers.host : undefined;
}
