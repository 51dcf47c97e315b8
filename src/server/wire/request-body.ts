import type { Readable } from 'node:stream';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Admission } from '../calls/admission.ts';
import type { Call } from '../calls/call.ts';
import { findRefusal } from '../errors/errors.ts';
import { CallsInFlightFull, RequestTooLarge } from '../errors/request-errors.ts';
import { bodyTimeoutMs, discardedBytesMax } from '../limits.ts';

/**
 * The body of a call as one chunk. (Handed on frame by frame, a body of one-byte frames costs the gRPC
 * reader time that grows with the square of their number.)
 *
 * Rejects with REQUEST_TOO_LARGE past its limit, OVERLOADED when all bodies together are too large,
 * or others of the key that were there before need the room, DEADLINE_EXCEEDED 30 s after it was asked for, CANCELLED when the sender goes away.
 */
export interface RequestBody extends AsyncIterable<Uint8Array> {
  /** All of it, at once where it has come. Asked for once. */
  receive(): Uint8Array | Promise<Uint8Array>;
  /** Counts what was made of it, until it is released. @throws the OVERLOADED that a caller is told. */
  hold(bytes: number): void;
  /** Lets go of what was received, and throws away whatever still comes. */
  release(): void;
}

/** The body of a call that is coming in, as whoever answers the call holds it. */
export interface IncomingBody extends RequestBody {
  /** Refuses what still holds memory, or may; false when there is nothing to refuse. */
  refuse(reason: Error): boolean;
}

export interface RequestBodyDeps {
  readonly source: Readable;
  readonly call: Call;
  readonly admission: Pick<Admission, 'hold' | 'release' | 'awaitBody' | 'bodyCame'>;
  /** The largest message, and what its protocol puts around it. */
  readonly bytesMax: number;
  readonly envelopeBytes: number;
  /** What the headers announce; undefined where they do not. */
  readonly contentLength: number | undefined;
  /** Called when far more comes than is thrown away in silence. */
  readonly onFlood: () => void;
}

/** More would be asked of the allocator than small pieces are worth. */
const firstCapacityBytes = 1024;

type State = 'coming' | 'whole' | 'over';

/**
 * Takes whatever arrives from the first moment on: a source that is left paused keeps each piece, and a
 * piece takes some 330 bytes of memory beside its own. Pieces are put together at once into one buffer,
 * which grows with them, so that what is held is at most twice what came. A body that arrives as one
 * piece is handed on as it is.
 */
export class ReceivedBody implements IncomingBody {
  readonly #deps: RequestBodyDeps;
  readonly #bytesMax: number;
  #state: State = 'coming';
  #failure: unknown;
  /** The one piece that came, or the buffer that pieces are put into. */
  #kept: Buffer | undefined;
  #isOwn = false;
  #length = 0;
  #held = 0;
  #discarded = 0;
  #waiter: { resolve(body: Uint8Array): void; reject(reason: unknown): void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isAsked = false;

  constructor(deps: RequestBodyDeps) {
    this.#deps = deps;
    this.#bytesMax = deps.bytesMax + deps.envelopeBytes;
    const { source } = deps;
    if (source.readableEnded) this.#state = 'whole';
    else if (source.destroyed) this.#onGone();
    else {
      source
        .on('data', (piece: Buffer) => this.#onData(piece))
        .on('end', () => this.#onEnd())
        .on('close', () => this.#onGone());
    }
  }

  hold(bytes: number): void {
    try {
      this.#hold(bytes);
    } catch (error) {
      throw findRefusal(error) ?? error;
    }
  }

  release(): void {
    const isAwaited = this.#state === 'coming' && this.#waiter !== undefined;
    this.#state = 'over';
    clearTimeout(this.#timer);
    this.#drop();
    // An error is made only for somebody who hears of it: each costs as much as the rest of this class.
    if (isAwaited) this.#waiter?.reject(bodyCut());
  }

  refuse(reason: Error): boolean {
    if (this.#state === 'over' || (this.#state === 'whole' && this.#isAsked)) return false;
    this.#end(reason);
    return true;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        if (this.#isAsked) return { done: true, value: undefined };
        return { done: false, value: await this.receive() };
      },
    };
  }

  receive(): Uint8Array | Promise<Uint8Array> {
    this.#isAsked = true;
    const { bytesMax, contentLength = 0 } = this.#deps;
    if (this.#state === 'coming' && contentLength > this.#bytesMax) {
      this.#end(new RequestTooLarge(bytesMax));
    }
    if (this.#state === 'over') throw this.#failure ?? bodyCut();
    if (this.#state === 'whole') return this.#handOn();
    this.#timer = setTimeout(() => this.#end(bodyLate()), bodyTimeoutMs);
    const { admission, call } = this.#deps;
    admission.awaitBody(call, () => this.#end(new CallsInFlightFull()));
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  #handOn(): Uint8Array {
    const kept = this.#kept ?? new Uint8Array();
    this.#kept = undefined;
    return kept.byteLength === this.#length ? kept : kept.subarray(0, this.#length);
  }

  #onData(piece: Buffer): void {
    if (this.#state === 'over') {
      this.#discarded += piece.byteLength;
      if (this.#discarded > discardedBytesMax) this.#deps.onFlood();
      return;
    }
    try {
      if (this.#length + piece.byteLength > this.#bytesMax) {
        throw new RequestTooLarge(this.#deps.bytesMax);
      }
      this.#keep(piece);
    } catch (error) {
      this.#end(error);
    }
  }

  #keep(piece: Buffer): void {
    if (this.#length === 0) {
      // It is a part of all that was read from the socket at once, and keeps that in memory.
      this.#hold(piece.buffer.byteLength);
      this.#kept = piece;
    } else {
      this.#reserve(this.#length + piece.byteLength);
      piece.copy(this.#kept as Buffer, this.#length);
    }
    this.#length += piece.byteLength;
  }

  /** Sees to it that the buffer is our own, and has room. */
  #reserve(length: number): void {
    const kept = this.#kept as Buffer;
    const capacity = this.#isOwn ? kept.byteLength : 0;
    if (length <= capacity) return;
    const most = Math.min(this.#deps.contentLength ?? this.#bytesMax, this.#bytesMax);
    const grown = Math.max(length, Math.min(Math.max(2 * length, firstCapacityBytes), most));
    this.#hold(grown);
    const larger = Buffer.allocUnsafeSlow(grown);
    kept.copy(larger, 0, 0, this.#length);
    this.#letGo(this.#held - grown);
    this.#kept = larger;
    this.#isOwn = true;
  }

  #onEnd(): void {
    if (this.#state !== 'coming') return;
    this.#state = 'whole';
    this.#deps.admission.bodyCame(this.#deps.call);
    if (!this.#isOwn) this.#letGo(this.#held - this.#length);
    clearTimeout(this.#timer);
    this.#waiter?.resolve(this.#handOn());
  }

  #onGone(): void {
    if (this.#state === 'coming') this.#end(bodyCut());
  }

  /** From here on nothing is kept; whoever waits for the body is told why. */
  #end(reason: unknown): void {
    this.#state = 'over';
    clearTimeout(this.#timer);
    this.#drop();
    this.#failure = findRefusal(reason) ?? reason;
    this.#waiter?.reject(this.#failure);
  }

  #drop(): void {
    this.#deps.admission.bodyCame(this.#deps.call);
    this.#kept = undefined;
    this.#letGo(this.#held);
  }

  #hold(bytes: number): void {
    this.#deps.admission.hold(this.#deps.call, bytes);
    this.#held += bytes;
  }

  #letGo(bytes: number): void {
    this.#deps.admission.release(this.#deps.call, bytes);
    this.#held -= bytes;
  }
}

function bodyLate(): ConnectError {
  return new ConnectError('the body was not complete within 30 s', Code.DeadlineExceeded);
}

export function bodyCut(): ConnectError {
  return new ConnectError('the body ended before it was complete', Code.Canceled);
}
