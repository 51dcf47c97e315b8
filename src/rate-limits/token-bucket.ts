/** How fast tokens come in, and how many there are at the most; whole numbers. */
export interface Rate {
  readonly perSecond: number;
  readonly capacity: number;
}

/**
 * Tokens that come in at a steady rate until the bucket is full. It counts what was taken, in thousandths of a token
 * and whole milliseconds, so that every number is an integer and nothing is ever rounded.
 */
export class TokenBucket {
  #rate: Rate;
  /** Thousandths that were taken and have not come in again; above the capacity for what was taken beyond it. */
  #taken = 0;
  #atMs: number;

  /** Full. */
  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#atMs = Math.floor(nowMs);
  }

  /**
   * Lets in what has come since the last time. With another rate from here on: what was taken stays so, as far as the
   * new capacity goes.
   */
  settle(nowMs: number, rate: Rate = this.#rate): this {
    const ms = Math.floor(nowMs) - this.#atMs;
    this.#atMs += ms;
    this.#taken = Math.max(0, this.#taken - ms * this.#rate.perSecond);
    const { perSecond, capacity } = this.#rate;
    if (rate.perSecond !== perSecond || rate.capacity !== capacity) {
      this.#rate = rate;
      this.#taken = Math.min(this.#taken, rate.capacity * 1000);
    }
    return this;
  }

  get capacity(): number {
    return this.#rate.capacity;
  }

  get isFull(): boolean {
    return this.#taken === 0;
  }

  /** Whole tokens that are left; below 0 for what was taken beyond them. */
  get left(): number {
    return Math.floor(this.#rate.capacity - this.#taken / 1000);
  }

  take(tokens: number): void {
    this.#taken += tokens * 1000;
  }

  /** Until so many tokens are there, or as many as it holds; whole milliseconds, 0 where they are. */
  msUntil(tokens: number): number {
    const { perSecond, capacity } = this.#rate;
    const missing = this.#taken - (capacity - Math.min(tokens, capacity)) * 1000;
    return Math.max(0, Math.ceil(missing / perSecond));
  }
}
