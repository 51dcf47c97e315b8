import { getHeapStatistics } from 'node:v8';

/** What of each kind a process holds at the most: in bytes, but for streams. */
export interface MemoryRoom {
  /** Bodies of calls with a place, and what they inflate to. */
  readonly bodies: number;
  /** The same of calls that have shown no key yet. */
  readonly bodiesWithoutKey: number;
  /** Answers to unary calls that are not taken yet. */
  readonly answers: number;
  /** The newest events of logs that are followed. */
  readonly feeds: number;
  /** Creates that wait for PostgreSQL. */
  readonly creates: number;
  /** API keys that are remembered. */
  readonly keys: number;
  /** Bodies of webhooks that are on their way. */
  readonly webhooks: number;
  /** Streams of those who show a key, by number. One that is idle takes 9 KB, one that reads up to 2 MiB. */
  readonly streams: number;
}

const mebibyte = 1024 * 1024;

/** Of the heap that there is: one part in so many, within bounds. Below the first, the largest call would find no room. */
const parts = {
  bodies: { of: 16, min: 32, max: 256 },
  bodiesWithoutKey: { of: 128, min: 8, max: 32 },
  answers: { of: 16, min: 48, max: 256 },
  feeds: { of: 16, min: 16, max: 256 },
  creates: { of: 64, min: 16, max: 64 },
  keys: { of: 64, min: 4, max: 64 },
  webhooks: { of: 64, min: 8, max: 64 },
} satisfies Record<Exclude<keyof MemoryRoom, 'streams'>, { of: number; min: number; max: number }>;

const heapBytesOfStream = 200 * 1024;
const streamsMax = 20_000;

/**
 * Divides what there is of memory. A body of 8 MiB becomes some 80 MB of objects while it is read, and V8 ends the process
 * that needs more than its heap: what a small heap takes on has to be less. With the 4 GB that Node takes on a large
 * machine, nothing is.
 *
 * @param heapBytes that V8 may use (`--max-old-space-size`, and what it adds for the young).
 */
export function divideMemory(heapBytes: number = getHeapStatistics().heap_size_limit): MemoryRoom {
  const share = ({ of, min, max }: { of: number; min: number; max: number }) =>
    Math.min(Math.max(Math.floor(heapBytes / of), min * mebibyte), max * mebibyte);
  return {
    bodies: share(parts.bodies),
    bodiesWithoutKey: share(parts.bodiesWithoutKey),
    answers: share(parts.answers),
    feeds: share(parts.feeds),
    creates: share(parts.creates),
    keys: share(parts.keys),
    webhooks: share(parts.webhooks),
    streams: Math.min(Math.floor(heapBytes / heapBytesOfStream), streamsMax),
  };
}

/** As on a machine where memory is not scarce. */
export const ampleRoom = divideMemory(Number.POSITIVE_INFINITY);
