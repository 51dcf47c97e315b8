import type { Event } from '../event.ts';
import { cutByBytes } from '../log/cut-by-bytes.ts';
import { wireBytesOf } from '../wire-bytes.ts';
import type { FeedMemory, FeedShare } from './feed-memory.ts';

/** About a second of a busy log, 16 MiB of them at the most; less where all feeds together need the room. */
const eventsMax = 2_000;
const bytesMax = 16 * 1024 * 1024;
/** What is given out at once, and so held for a slow subscriber: as much as a read from the database. */
const chunkEventsMax = 500;
const chunkBytesMax = 2 * 1024 * 1024;

/** The newest events of a log, as far as they are at hand: consecutive, and none but the oldest are dropped. */
export class KeptEvents {
  readonly #share: FeedShare;
  readonly #events: Event[] = [];
  /** Of each. */
  readonly #bytes: number[] = [];
  #bytesTotal = 0;
  #isClosed = false;

  constructor(memory: FeedMemory) {
    this.#share = memory.open(() => this.clear());
  }

  /** Keeps what comes next in the log. */
  add(events: readonly Event[]): void {
    if (this.#isClosed) return;
    for (const event of events) {
      const bytes = wireBytesOf(event);
      this.#events.push(event);
      this.#bytes.push(bytes);
      this.#bytesTotal += bytes;
      this.#share.keep(event, bytes);
    }
    let count = Math.max(0, this.#events.length - eventsMax);
    let bytes = this.#bytesTotal;
    for (let index = 0; index < this.#bytes.length - 1; index++) {
      if (index >= count && bytes <= bytesMax) break;
      bytes -= this.#bytes[index] ?? 0;
      count = Math.max(count, index + 1);
    }
    this.#drop(count);
  }

  /** The next events after a sequence before the newest; undefined: they are not at hand. */
  after(sequence: number): readonly Event[] | undefined {
    const first = this.#events[0]?.sequence;
    if (first === undefined || sequence < first - 1) return undefined;
    const from = sequence - first + 1;
    const chunk = this.#events.slice(from, from + chunkEventsMax);
    return cutByBytes(chunk, (_, index) => this.#bytes[from + index] ?? 0, chunkBytesMax);
  }

  /** Drops those with a lower sequence. */
  dropBefore(sequence: number): void {
    const first = this.#events[0]?.sequence ?? sequence;
    this.#drop(Math.max(0, sequence - first));
  }

  /** Drops everything, and goes on with what comes next. */
  clear(): void {
    this.#drop(this.#events.length);
  }

  /** Drops everything, and keeps nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.clear();
  }

  #drop(count: number): void {
    for (const event of this.#events.splice(0, count)) this.#share.drop(event);
    for (const bytes of this.#bytes.splice(0, count)) this.#bytesTotal -= bytes;
  }
}
