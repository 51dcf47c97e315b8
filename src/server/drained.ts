import type { Writable } from 'node:stream';

/** A reader took nothing off its stream for too long. */
export class ReaderStalled extends Error {
  override readonly name = 'ReaderStalled';

  constructor(stallMsMax: number) {
    super(`the reader took nothing for ${stallMsMax} ms`);
  }
}

export const readerStalledFailure = {
  code: 'resource_exhausted',
  reason: 'SUBSCRIBER_TOO_SLOW',
} as const;

/**
 * Resolves when a stream takes more, or is gone. While it waits nothing more is produced, so that a slow
 * reader holds one chunk and no more.
 *
 * @throws ReaderStalled when it took nothing for `stallMsMax`.
 */
export function drained(stream: Writable, stallMsMax: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stream.destroyed) return resolve();
    const leave = () => {
      clearTimeout(timer);
      stream.off('drain', done).off('close', done);
    };
    const done = () => {
      leave();
      resolve();
    };
    const timer = setTimeout(() => {
      leave();
      reject(new ReaderStalled(stallMsMax));
    }, stallMsMax);
    stream.on('drain', done).on('close', done);
  });
}
