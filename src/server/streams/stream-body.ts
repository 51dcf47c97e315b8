import type { StreamMessage, Subscription } from '../../events/index.ts';
import { callerGone } from '../calls/call.ts';

/** How one protocol writes a stream. */
export interface StreamForm {
  readonly encode: (message: StreamMessage) => Uint8Array;
  /** The last bytes of a stream that ends with an error. */
  readonly finish: (error: unknown) => Promise<Uint8Array>;
}

/** What is written at once: enough to spare calls, little enough to be held for each slow reader. */
const chunkBytesMax = 64 * 1024;

/**
 * The body of a stream, pulled chunk by chunk. Fields instead of generators: most streams wait most of the
 * time, and there are thousands of them.
 */
export class StreamBody implements AsyncIterableIterator<Uint8Array> {
  readonly #subscription: Subscription;
  readonly #form: StreamForm;
  /** What is at hand, and how much of it has been written: never all, then there is nothing at hand. */
  #messages: readonly StreamMessage[] = [];
  #written = 0;
  #isOver = false;

  /** @param gone aborts when the reader has left. */
  constructor(subscription: Subscription, gone: AbortSignal, form: StreamForm) {
    this.#subscription = subscription;
    this.#form = form;
    gone.addEventListener('abort', () => subscription.end(callerGone));
    if (gone.aborted) subscription.end(callerGone);
  }

  /** Waits for the first messages. @throws what ends the stream before it has begun. */
  async start(): Promise<void> {
    try {
      this.#messages = await this.#subscription.next();
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
    try {
      if (this.#messages.length === 0) this.#messages = await this.#subscription.next();
      this.#subscription.throwIfEnded();
      return { done: false, value: this.#encodeSome() };
    } catch (error) {
      this.#end();
      return { done: false, value: await this.#form.finish(error) };
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#end();
    return { done: true, value: undefined };
  }

  #encodeSome(): Uint8Array {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    while (this.#written < this.#messages.length && bytes < chunkBytesMax) {
      const chunk = this.#form.encode(this.#messages[this.#written++] as StreamMessage);
      chunks.push(chunk);
      bytes += chunk.byteLength;
    }
    if (this.#written === this.#messages.length) {
      this.#messages = [];
      this.#written = 0;
    }
    return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, bytes);
  }

  #end(): void {
    this.#isOver = true;
    this.#messages = [];
    this.#subscription.closing.dispose();
  }
}
