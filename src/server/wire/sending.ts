import type { Writable } from 'node:stream';
import { type ExchangeResponse, readWhole } from './exchange.ts';
import type { LiveAnswers } from './live-answers.ts';
import { hurryMs, type OpenAnswer, type OpenAnswers } from './open-answers.ts';

/** A reader took nothing off its stream for too long, or not soon enough what is outdated now. */
export class ReaderStalled extends Error {
  override readonly name = 'ReaderStalled';
}

const tookNothing = (forMs: number) => new ReaderStalled(`the reader took nothing for ${forMs} ms`);
const tookTooLate = () =>
  new ReaderStalled('what the reader had not taken must not be given out any more');

export const readerStalledFailure = {
  code: 'resource_exhausted',
  reason: 'SUBSCRIBER_TOO_SLOW',
} as const;

/** Where an answer goes: one version of HTTP. */
export interface AnswerSink {
  /** Closes when the answer is taken, or nobody is there to take it. */
  readonly sink: Writable;
  /** @param length of the body in bytes, where it is at hand. */
  writeHead(response: ExchangeResponse, requestId: string, length?: number): void;
  /** Writes the last chunk and, where there are some, the trailers. */
  end(response: ExchangeResponse, chunk?: Uint8Array): void;
  /** Ends an answer that cannot be finished, and frees at once what it holds. */
  cutOff(reason: 'stalled' | 'failed'): void;
}

export interface SendingDeps {
  readonly openAnswers: OpenAnswers;
  readonly liveAnswers: LiveAnswers;
  /** An answer whose reader takes nothing for this time is cut off. */
  readonly stallMsMax: number;
  /** Aborts when the service stops: the readers of streams hurry. */
  readonly closing: AbortSignal;
}

/** One answer, from its first byte until its reader has taken the last one. */
export class Sending implements OpenAnswer {
  bytes = 0;
  round = 0;
  readonly #to: AnswerSink;
  readonly #deps: SendingDeps;
  readonly #over = Promise.withResolvers<void>();
  #isSent = false;
  #cutOffFor: ReaderStalled | undefined;

  /** @param onGone called when the reader leaves before it was answered. */
  constructor(to: AnswerSink, deps: SendingDeps, onGone: () => void) {
    this.#to = to;
    this.#deps = deps;
    to.sink.once('close', () => {
      if (!this.#isSent) onGone();
      this.#over.resolve();
    });
  }

  /**
   * Resolves when the answer is taken, or its reader has left.
   *
   * @param onReady called when the call is done, and only its answer is left.
   * @throws ReaderStalled when the reader took nothing for too long, or others needed the room.
   */
  async send(response: ExchangeResponse, requestId: string, onReady: () => void): Promise<void> {
    const { openAnswers } = this.#deps;
    const { body } = response;
    try {
      if (response.unary === true || body === undefined || isWhole(body)) {
        const whole = isWhole(body) ? body : await readWhole(body);
        onReady();
        await this.#sendWhole(response, requestId, whole);
      } else await this.#sendStream(response, requestId, body);
      await this.#over.promise;
    } finally {
      openAnswers.close(this);
    }
    if (this.#cutOffFor !== undefined) throw this.#cutOffFor;
  }

  cutOff = (): void => this.#cutOff(tookNothing(this.#deps.stallMsMax));

  #cutOff(reason: ReaderStalled): void {
    this.#cutOffFor = reason;
    this.#to.cutOff('stalled');
    this.#over.resolve();
  }

  async #sendWhole(
    response: ExchangeResponse,
    requestId: string,
    whole: string | Uint8Array | undefined,
  ): Promise<void> {
    const { openAnswers, stallMsMax } = this.#deps;
    const { sink } = this.#to;
    if (sink.destroyed) return;
    const bytes = typeof whole === 'string' ? Buffer.from(whole) : whole;
    const length = bytes?.byteLength ?? 0;
    this.#to.writeHead(response, requestId, length);
    this.bytes = response.isShared === true ? 0 : length;
    openAnswers.open(this);
    if (bytes === undefined || length <= partBytesMax) return this.#end(response, bytes);
    const parts = [...inParts(bytes)];
    const last = parts.pop();
    for (const part of parts) {
      if (!sink.write(part)) await drained(sink, stallMsMax);
      if (sink.destroyed) return;
      openAnswers.goOn(this);
    }
    this.#end(response, last);
  }

  /** Pulls the answer chunk by chunk, each when the one before is taken: a slow reader holds one. */
  async #sendStream(
    response: ExchangeResponse,
    requestId: string,
    body: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { openAnswers, liveAnswers, stallMsMax, closing } = this.#deps;
    const { sink } = this.#to;
    const live = liveAnswers.open(sink, () => this.#cutOff(tookTooLate()));
    // What it has written stays watched until all of it is taken.
    void this.#over.promise.then(() => live.close());
    const chunks = body[Symbol.asyncIterator]();
    try {
      // Connect lets handlers add headers until the first chunk is there.
      let chunk = await chunks.next();
      if (sink.destroyed) return;
      this.#to.writeHead(response, requestId);
      while (chunk.done !== true) {
        live.give(chunk.value.byteLength, response.given?.());
        for (const part of inParts(chunk.value)) {
          if (!sink.write(part)) await drained(sink, stallMsMax, closing);
        }
        if (sink.destroyed) return;
        chunk = await chunks.next();
      }
      openAnswers.open(this);
      this.#end(response);
    } finally {
      await chunks.return?.();
    }
  }

  #end(response: ExchangeResponse, last?: Uint8Array): void {
    this.#isSent = true;
    this.#to.end(response, last);
  }
}

function isWhole(body: ExchangeResponse['body']): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array;
}

/**
 * Resolves when a stream takes more, or is gone. While it waits nothing more is produced, so that a slow
 * reader holds one chunk and no more.
 *
 * @param hurry from its abort on a reader has one more second, however much of `stallMsMax` is left.
 * @throws ReaderStalled when it took nothing for `stallMsMax`.
 */
function drained(stream: Writable, stallMsMax: number, hurry?: AbortSignal): Promise<void> {
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
      reject(tookNothing(stallMsMax));
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
const partBytesMax = 16 * 1024;

/** A chunk in parts, so that a slow reader of a large one is seen to go on. */
function* inParts(chunk: Uint8Array): Iterable<Uint8Array> {
  for (let from = 0; from < chunk.byteLength; from += partBytesMax) {
    yield chunk.subarray(from, from + partBytesMax);
  }
}
