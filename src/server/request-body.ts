import type { Readable } from 'node:stream';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Admission } from './admission.ts';
import { findRefusal } from './errors.ts';
import { bodyTimeoutMs } from './limits.ts';
import { RequestTooLarge } from './request-errors.ts';

/**
 * The body of a unary call as one chunk, received when it is first asked for and never before: a call
 * that is refused by its headers is not read. (Handed on frame by frame, a body of one-byte frames costs
 * the gRPC reader time that grows with the square of their number.)
 *
 * Rejects with REQUEST_TOO_LARGE past `bytesMax`, OVERLOADED when all bodies together are too large,
 * DEADLINE_EXCEEDED after 30 s, CANCELLED when the sender goes away. The reservation of its bytes is
 * released by `release`, when the call is over.
 */
export interface RequestBody extends AsyncIterable<Uint8Array> {
  release(): void;
}

export function createRequestBody(
  source: Readable,
  bytesMax: number,
  admission: Pick<Admission, 'reserve' | 'release'>,
): RequestBody {
  let reserved = 0;
  let asked = false;

  function receive(): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const timer = setTimeout(
        () =>
          fail(new ConnectError('the body was not complete within 30 s', Code.DeadlineExceeded)),
        bodyTimeoutMs,
      );
      const stop = () => {
        clearTimeout(timer);
        source.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      };
      const fail = (reason: unknown) => {
        stop();
        source.pause();
        reject(findRefusal(reason) ?? reason);
      };
      const onData = (chunk: Buffer) => {
        bytes += chunk.byteLength;
        if (bytes > bytesMax) return fail(new RequestTooLarge(bytesMax));
        try {
          admission.reserve(chunk.byteLength);
          reserved += chunk.byteLength;
        } catch (error) {
          return fail(error);
        }
        chunks.push(chunk);
      };
      const onEnd = () => {
        stop();
        resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes));
      };
      const onGone = () =>
        fail(new ConnectError('the body ended before it was complete', Code.Canceled));
      // An empty body of HTTP/2 ends by itself, before anybody has asked for it.
      if (source.readableEnded) return onEnd();
      if (source.destroyed) return onGone();
      source.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    });
  }

  return {
    release() {
      admission.release(reserved);
      reserved = 0;
    },
    [Symbol.asyncIterator]() {
      return {
        next() {
          if (asked) return Promise.resolve({ done: true as const, value: undefined });
          asked = true;
          return receive().then((value) => ({ done: false as const, value }));
        },
      };
    },
  };
}
