import type { Given, StreamSource } from '../../stream-source.ts';
import { callerGone } from '../calls/call.ts';

/** How one protocol writes a stream. */
export interface StreamWriting {
  readonly encode: (item: unknown) => Uint8Array;
  /** The last bytes of a stream; `error` is undefined for one that has come to its end. */
  readonly finish: (error: unknown) => Promise<Uint8Array | undefined>;
}

/** What is written at once: enough to spare calls, little enough to be held for each slow reader. */
const chunkBytesMax = 64 * 1024;

/**
 * The body of a stream, pulled chunk by chunk. Fields instead of generators: most streams wait most of the
 * time, and there are thousands of them.
 */
export class StreamBody implements AsyncIterableIterator<Uint8Array> {
  readonly #source: StreamSource<unknown>;
  readonly #writing: StreamWriting;
  /** What is at hand, and how much of it has been written: never all, then there is nothing at hand. */
  #items: readonly unknown[] = [];
  #written = 0;
  #isOver = false;

  /** @param gone aborts when the reader has left. */
  constructor(source: StreamSource<unknown>, gone: AbortSignal, writing: StreamWriting) {
    this.#source = source;
    this.#writing = writing;
    gone.addEventListener('abort', () => source.end(callerGone));
    if (gone.aborted) source.end(callerGone);
  }

  /** Waits for the first items. @throws what ends the stream before it has begun. */
  async start(): Promise<void> {
    try {
      this.#items = await this.#source.next();
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#isOver) return { done: true, value: undefined };
    let reason: unknown;
    try {
      if (this.#items.length > 0 && this.#source.given?.isOutdated) this.#takeBack();
      if (this.#items.length === 0) this.#items = await this.#source.next();
      this.#source.throwIfEnded();
      if (this.#items.length > 0) return { done: false, value: this.#encodeSome() };
    } catch (error) {
      reason = error;
    }
    this.#end();
    const value = await this.#writing.finish(reason);
    return value === undefined ? { done: true, value } : { done: false, value };
  }

  /** What the chunk that was pulled last holds, where that may change. */
  readonly given = (): Given | undefined => this.#source.given;

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#end();
    return { done: true, value: undefined };
  }

  /** Lets go of what has not been written: it was there for longer than it stays true. */
  #takeBack(): void {
    this.#source.takeBack?.(this.#items[this.#written - 1]);
    this.#items = [];
    this.#written = 0;
  }

  #encodeSome(): Uint8Array {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    while (this.#written < this.#items.length && bytes < chunkBytesMax) {
      const chunk = this.#writing.encode(this.#items[this.#written++]);
      chunks.push(chunk);
      bytes += chunk.byteLength;
    }
    if (this.#written === this.#items.length) {
      this.#items = [];
      this.#written = 0;
    }
    return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, bytes);
  }

  #end(): void {
    this.#isOver = true;
    this.#items = [];
    this.#source.closing.dispose();
  }
}
