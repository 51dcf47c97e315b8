import {
  constants,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { headerListBytesMax } from '../limits.ts';
import { type AnswerDeps, answer, type Incoming } from './answer.ts';

/** Answers every request of an HTTP/2 server. Works on streams: Node's request objects cost a fifth more. */
export function answerHttp2(server: Http2Server, deps: AnswerDeps): void {
  server.on('stream', (stream, headers, _flags, rawHeaders) => {
    // A reset by the peer also arrives as an error; `close` follows either way.
    stream.on('error', () => undefined);
    if (bytesOf(rawHeaders) > headerListBytesMax) {
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      stream.destroy();
      return;
    }
    // A caller that resets its stream without an error takes nothing more, but Node would wait for it to.
    stream.on('aborted', () => {
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR) stream.destroy();
    });
    stream.on('close', spareError);
    void answer(toIncoming(stream, headers), deps);
  });
}

/** As HTTP/2 counts them: names, values, and 32 for each pair. Node counts so only once the peer has taken our settings. */
function bytesOf(rawHeaders: readonly string[]): number {
  let bytes = 16 * rawHeaders.length;
  for (const text of rawHeaders) bytes += text.length;
  return bytes;
}

const closed = new Error('the stream has closed');

/**
 * Nearly every stream has closed before the socket says that its last bytes were taken. Node then makes an error, and the
 * trace of it, for those who wait for that, of whom there is none: a tenth of what a call costs. One that has failed already
 * is given the error that is there.
 */
function spareError(this: ServerHttp2Stream): void {
  const { _writableState: state } = this as { _writableState?: { errored: Error | null } };
  if (state !== undefined) state.errored ??= closed;
}

function toIncoming(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Incoming {
  return {
    httpVersion: '2.0',
    method: headers[':method'] ?? '',
    target: headers[':path'] ?? '',
    authority: headers[':authority'] ?? headers.host,
    headers,
    source: stream,
    connection: stream.session ?? stream,
    sink: stream,
    writeHead({ status, header, trailer }, requestId) {
      const fields: Record<string, string | number> = {
        ':status': status,
        'x-request-id': requestId,
      };
      header.forEach((value, name) => {
        fields[name] = value;
      });
      stream.respond(fields, { waitForTrailers: trailer !== undefined });
      if (trailer === undefined) return;
      stream.once('wantTrailers', () => {
        stream.sendTrailers(toNodeTrailers(trailer));
        if (!stream.readableEnded) setImmediate(() => stopReading(stream));
      });
    },
    end({ trailer }, chunk) {
      // With trailers the stream is not at its end yet; whoever sends them goes on from there.
      if (trailer === undefined && !stream.readableEnded) {
        stream.once('finish', () => stopReading(stream));
      }
      if (chunk === undefined) stream.end();
      else stream.end(chunk);
    },
    cutOff(reason) {
      const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INTERNAL_ERROR } = constants;
      const code = reason === 'stalled' ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_INTERNAL_ERROR;
      if (!stream.closed) stream.close(code);
      // A peer that reads nothing does not take the reset either, which Node would wait for.
      stream.destroy();
    },
  };
}

/** Tells a peer that is still sending that nobody reads on. */
function stopReading(stream: ServerHttp2Stream): void {
  if (!stream.readableEnded && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
}

/**
 * Connect escapes a text as a URL would; gRPC escapes "%" and what is not printable ASCII only, and
 * grpc-js shows every other escape (%3A for a colon) as it is. A field that begins or ends with a space is
 * none of HTTP/2 (RFC 9113, 8.2.1): its reader would take it for an empty one.
 */
function toNodeTrailers(trailer: Headers): Record<string, string> {
  const fields = Object.fromEntries(trailer);
  const message = fields['grpc-message'];
  if (message === undefined) return fields;
  const needless = /%(?:2[0-46-9A-F]|[3-6][0-9A-F]|7[0-9A-E])/g;
  const readable = message.replace(needless, decodeURIComponent);
  const outerSpaces = /^ +| +$/g;
  return {
    ...fields,
    'grpc-message': readable.replace(outerSpaces, (spaces) => encodeURIComponent(spaces)),
  };
}
