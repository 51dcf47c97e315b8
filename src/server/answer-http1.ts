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
    sink: nodeResponse,
    writeHead({ status, header }, requestId) {
      nodeResponse.setHeader('x-request-id', requestId);
      header.forEach((value, name) => {
        nodeResponse.setHeader(name, value);
      });
      // A body that nobody has read cannot be skipped: the connection ends with this answer.
      if (!request.complete || closing.aborted) nodeResponse.setHeader('connection', 'close');
      nodeResponse.writeHead(status);
    },
    end({ trailer }, chunk) {
      if (trailer !== undefined) nodeResponse.addTrailers(Object.fromEntries(trailer));
      if (!request.complete) nodeResponse.once('finish', () => request.socket.destroySoon());
      nodeResponse.end(chunk);
    },
    cutOff: () => nodeResponse.destroy(),
  };
}

/** The one Host that a request has; undefined when it has none or, to mislead someone on its way, several. */
function hostOf({ headers, rawHeaders }: IncomingMessage): string | undefined {
  const names = rawHeaders.filter(
    (name, index) => index % 2 === 0 && name.toLowerCase() === 'host',
  );
  return names.length === 1 ? headers.host : undefined;
}
