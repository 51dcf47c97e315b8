import type { Writable } from 'node:stream';
import type { Given } from '../../stream-source.ts';

/** A stream that goes on, and what its reader has not taken of it. */
export interface LiveAnswer {
  /** Notes a chunk that is about to be written, and what it holds, where that may change. */
  give(bytes: number, given: Given | undefined): void;
  close(): void;
}

/**
 * Watches streams whose content may change after it was written: what a slow reader has not taken by then never reaches
 * it. The reader comes back, and reads on from what it has taken. One timer watches all of them.
 */
export interface LiveAnswers {
  /** @param cutOff ends the stream, and frees at once what waits in `sink`. */
  open(sink: Writable, cutOff: () => void): LiveAnswer;
}

const lookEveryMs = 250;

export function createLiveAnswers(): LiveAnswers {
  const answers = new Set<Untaken>();
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    for (const answer of answers) answer.look();
  }

  function close(answer: Untaken): void {
    answers.delete(answer);
    if (answers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    open(sink, cutOff) {
      const answer = new Untaken(sink, cutOff, close);
      answers.add(answer);
      timer ??= setInterval(look, lookEveryMs).unref();
      return answer;
    },
  };
}

/** Chunks of one stream that its reader may not have taken, in their order. */
class Untaken implements LiveAnswer {
  readonly #sink: Writable;
  readonly #cutOff: () => void;
  readonly #onClose: (answer: Untaken) => void;
  #chunks: { readonly endsAt: number; readonly given: Given }[] = [];
  #written = 0;

  constructor(sink: Writable, cutOff: () => void, onClose: (answer: Untaken) => void) {
    this.#sink = sink;
    this.#cutOff = cutOff;
    this.#onClose = onClose;
  }

  give(bytes: number, given: Given | undefined): void {
    this.#forgetTaken();
    this.#written += bytes;
    if (given !== undefined) this.#chunks.push({ endsAt: this.#written, given });
  }

  look(): void {
    if (this.#chunks.length === 0) return;
    this.#forgetTaken();
    // The oldest one is the first to be outdated.
    if (this.#chunks[0]?.given.isOutdated === true) this.#cutOff();
  }

  close(): void {
    this.#chunks = [];
    this.#onClose(this);
  }

  /** While parts of the last chunk are still to be written, one that was written waits: it counts as not taken. */
  #forgetTaken(): void {
    const taken = this.#written - this.#sink.writableLength;
    const kept = this.#chunks.findIndex(({ endsAt }) => endsAt > taken);
    if (kept !== 0) this.#chunks.splice(0, kept < 0 ? this.#chunks.length : kept);
  }
}
