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

const hurryMs = 1_000;

/**
 * Resolves when a stream takes more, or is gone. While it waits nothing more is produced, so that a slow
 * reader holds one chunk and no more.
 *
 * @param hurry from its abort on a reader has one more second, however much of `stallMsMax` is left.
 * @throws ReaderStalled when it took nothing for `stallMsMax`.
 */
export function drained(stream: Writable, stallMsMax: number, hurry?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stream.destroyed) return resolve();
    const leave = () => {
      clearTimeout(timer);
      hurry?.removeEventListener('abort', onHurry);
      stream.off('drain', done).off('close', done);
    };
    const done = () => {
      leave();
      resolve();
    };
    const giveUp = () => {
      leave();
      reject(new ReaderStalled(stallMsMax));
    };
    let timer = setTimeout(giveUp, stallMsMax);
    const onHurry = () => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, Math.min(hurryMs, stallMsMax));
    };
    if (hurry?.aborted) onHurry();
    hurry?.addEventListener('abort', onHurry);
    stream.on('drain', done).on('close', done);
  });
}

/** A reader that takes this much within the time of a stall is slow, but not stalled. */
export const partBytesMax = 16 * 1024;

/** A chunk in parts, so that a slow reader of a large one is seen to go on. */
export function* inParts(chunk: Uint8Array): Iterable<Uint8Array> {
  for (let from = 0; from < chunk.byteLength; from += partBytesMax) {
    yield chunk.subarray(from, from + partBytesMax);
  }
}
