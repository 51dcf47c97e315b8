/** A flag, and the length of the message that follows. */
const headBytes = 5;
/** More would be asked of the allocator than small pieces are worth. */
const firstCapacityBytes = 1024;

/**
 * Puts the pieces of a body together to envelopes, each the head of five bytes and the message behind it. What
 * waits is in one buffer, however small the pieces were; it is given up when nothing waits.
 */
export class Envelopes {
  #kept: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;

  /** What waits. */
  get bytes(): number {
    return this.#to - this.#from;
  }

  /** What that takes in memory. */
  get capacity(): number {
    return this.#kept.byteLength;
  }

  /** The length of the first message, as its head announces it; undefined while that is not there. */
  get messageBytes(): number | undefined {
    return this.bytes < headBytes ? undefined : this.#kept.readUInt32BE(this.#from + 1);
  }

  /** Whether the first envelope is whole. */
  get isWhole(): boolean {
    const { messageBytes } = this;
    return messageBytes !== undefined && this.bytes >= headBytes + messageBytes;
  }

  add(piece: Uint8Array): void {
    if (this.#to + piece.byteLength > this.capacity) this.#reserve(this.bytes + piece.byteLength);
    this.#kept.set(piece, this.#to);
    this.#to += piece.byteLength;
  }

  /** Moves what waits to the front, of a larger buffer where this one is too small. */
  #reserve(bytes: number): void {
    const { capacity } = this;
    const room =
      bytes <= capacity / 2
        ? this.#kept
        : Buffer.allocUnsafeSlow(Math.max(2 * bytes, firstCapacityBytes));
    this.#kept.copy(room, 0, this.#from, this.#to);
    this.#kept = room;
    this.#to = this.bytes;
    this.#from = 0;
  }

  /** The first envelope, which must be whole. */
  take(): Uint8Array {
    return this.#cut(headBytes + (this.messageBytes ?? 0));
  }

  /** All that waits, which may be nothing. */
  takeRest(): Uint8Array {
    return this.#cut(this.bytes);
  }

  clear(): void {
    this.#kept = Buffer.alloc(0);
    this.#from = 0;
    this.#to = 0;
  }

  #cut(bytes: number): Uint8Array {
    const cut = new Uint8Array(this.#kept.subarray(this.#from, this.#from + bytes));
    this.#from += bytes;
    if (this.#from === this.#to) this.clear();
    return cut;
  }
}
