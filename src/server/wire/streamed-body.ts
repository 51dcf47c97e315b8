import type { Readable } from 'node:stream';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Admission } from '../calls/admission.ts';
import type { Call } from '../calls/call.ts';
import { findRefusal } from '../errors/errors.ts';
import {
  RequestTooLarge,
  ServerStopping,
  TooFarAhead,
  TooManyMessages,
} from '../errors/request-errors.ts';
import { type ClientStreamLimits, discardedBytesMax } from '../limits.ts';
import { Envelopes } from './envelopes.ts';
import { readWhole } from './exchange.ts';
import { hurryMs } from './open-answers.ts';
import { takePieces } from './piece-flow.ts';
import { bodyCut, type IncomingBody } from './request-body.ts';

export interface StreamedBodyDeps {
  readonly source: Readable;
  readonly call: Call;
  readonly admission: Pick<Admission, 'hold' | 'release'>;
  readonly limits: ClientStreamLimits;
  /** Aborts when the service stops. */
  readonly closing: AbortSignal;
  /** Called when far more comes than is thrown away in silence. */
  readonly onFlood: () => void;
}

/** With so much at hand nothing more is read, until some of it was taken. */
const readAheadBytes = 16 * 1024;

/**
 * The body of a call whose client sends a stream: one whole envelope after another, each when its reader asks for it.
 * (Handed on piece by piece, an envelope of one-byte pieces costs Connect's reader time that grows with the square of
 * their number.) A sender that is faster than the reader is held back; what has come by then waits in one buffer.
 *
 * Its iterator ends when the sender has ended. It rejects with REQUEST_TOO_LARGE for a message past its limit,
 * OVERLOADED for too many of them or too much that waits, DEADLINE_EXCEEDED when no whole message comes for too
 * long, SHUTTING_DOWN when none comes while the service stops, CANCELLED when the sender goes away.
 */
export class StreamedBody implements IncomingBody {
  readonly #deps: StreamedBodyDeps;
  readonly #waiting = new Envelopes();
  readonly #readOn: (() => void) | undefined;
  #state: 'coming' | 'whole' | 'over' = 'coming';
  #failure: unknown;
  #stopWaiting: (() => void) | undefined;
  #isHeldBack = false;
  #messages = 0;
  /** In memory, for what waits. */
  #heldWaiting = 0;
  /** The message that was handed on last, and what was made of it. */
  #heldLast = 0;
  #discarded = 0;

  constructor(deps: StreamedBodyDeps) {
    this.#deps = deps;
    const { source } = deps;
    // A stream of HTTP/2 that was reset is closed first, and then ends like one that is complete.
    source.on('end', () => (source.closed ? this.#onGone() : this.#onEnd()));
    source.on('close', () => this.#onGone());
    this.#readOn = takePieces(source, (piece) => this.#onPiece(piece));
    if (source.readableEnded) this.#onEnd();
    else if (source.destroyed) this.#onGone();
  }

  /** Nobody asks for all of a stream, which may have no end. */
  async receive(): Promise<Uint8Array> {
    return (await readWhole(this)) ?? new Uint8Array();
  }

  /** Counts what was made of the message that was handed on last, until the next one is asked for. */
  hold(bytes: number): void {
    const { admission, call } = this.#deps;
    try {
      admission.hold(call, bytes);
    } catch (error) {
      throw findRefusal(error) ?? error;
    }
    this.#heldLast += bytes;
  }

  release(): void {
    // An error is made only for somebody who hears of it.
    if (this.#state !== 'over') this.#end(undefined);
    this.#letGoOfLast();
  }

  refuse(reason: Error): boolean {
    if (this.#state === 'over') return false;
    this.#end(reason);
    return true;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        this.#letGoOfLast();
        if (this.#state === 'coming' && !this.#waiting.isWhole) await this.#wait();
        return this.#handOn();
      },
      return: async () => {
        this.release();
        return { done: true, value: undefined };
      },
    };
  }

  #handOn(): IteratorResult<Uint8Array> {
    if (this.#state === 'over') throw this.#failure ?? bodyCut();
    if (this.#waiting.bytes === 0) return { done: true, value: undefined };
    const { messagesMax } = this.#deps.limits;
    if (++this.#messages > messagesMax) {
      this.#end(new TooManyMessages(messagesMax));
      throw this.#failure;
    }
    // What is left of a body that ended amid an envelope, Connect refuses.
    const value = this.#waiting.isWhole ? this.#waiting.take() : this.#waiting.takeRest();
    this.hold(value.byteLength);
    this.#countWaiting();
    this.#checkFirst();
    if (this.#isHeldBack && this.#wantsMore()) this.#goOn();
    return { done: false, value };
  }

  /** Resolves when a whole message is at hand, or none will come. */
  #wait(): Promise<void> {
    const { closing, limits } = this.#deps;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => this.#end(silent(limits.idleMs)), limits.idleMs);
    let hurry: NodeJS.Timeout | undefined;
    const onClosing = () => {
      hurry = setTimeout(() => this.#end(new ServerStopping()), hurryMs);
    };
    if (closing.aborted) onClosing();
    else closing.addEventListener('abort', onClosing);
    this.#stopWaiting = () => {
      this.#stopWaiting = undefined;
      clearTimeout(timer);
      clearTimeout(hurry);
      closing.removeEventListener('abort', onClosing);
      resolve();
    };
    return promise;
  }

  #onPiece(piece: Buffer): boolean {
    if (this.#state === 'over') {
      this.#discarded += piece.byteLength;
      if (this.#discarded > discardedBytesMax) this.#deps.onFlood();
      return true;
    }
    try {
      this.#keep(piece);
    } catch (error) {
      this.#end(error);
      return true;
    }
    if (this.#waiting.isWhole) this.#stopWaiting?.();
    this.#isHeldBack = !this.#wantsMore();
    return !this.#isHeldBack;
  }

  #keep(piece: Buffer): void {
    const { waitingBytesMax } = this.#deps.limits;
    if (this.#waiting.bytes + piece.byteLength > waitingBytesMax) {
      throw new TooFarAhead(waitingBytesMax);
    }
    this.#waiting.add(piece);
    this.#countWaiting();
    this.#checkFirst();
  }

  /** Nothing is waited for of a message that is too large. */
  #checkFirst(): void {
    const { messageBytesMax } = this.#deps.limits;
    const { messageBytes = 0 } = this.#waiting;
    if (messageBytes > messageBytesMax) this.#end(new RequestTooLarge(messageBytesMax));
  }

  #wantsMore(): boolean {
    return !this.#waiting.isWhole || this.#waiting.bytes < readAheadBytes;
  }

  #onEnd(): void {
    if (this.#state !== 'coming') return;
    this.#state = 'whole';
    this.#stopWaiting?.();
  }

  #onGone(): void {
    if (this.#state === 'coming') this.#end(bodyCut());
  }

  /** From here on nothing is kept; whoever waits for a message, or asks for one, is told why. */
  #end(reason: unknown): void {
    this.#state = 'over';
    this.#failure = findRefusal(reason) ?? reason;
    this.#waiting.clear();
    this.#countWaiting();
    this.#stopWaiting?.();
    if (this.#isHeldBack) this.#goOn();
  }

  #goOn(): void {
    this.#isHeldBack = false;
    this.#readOn?.();
  }

  #countWaiting(): void {
    const { admission, call } = this.#deps;
    const more = this.#waiting.capacity - this.#heldWaiting;
    if (more > 0) admission.hold(call, more);
    else admission.release(call, -more);
    this.#heldWaiting += more;
  }

  #letGoOfLast(): void {
    const { admission, call } = this.#deps;
    admission.release(call, this.#heldLast);
    this.#heldLast = 0;
  }
}

function silent(forMs: number): ConnectError {
  return new ConnectError(`no message came for ${forMs / 1000} s`, Code.DeadlineExceeded);
}
