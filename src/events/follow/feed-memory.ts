import type { Event } from '../event.ts';

/** What the feeds of one process keep at the most, however many workspaces are followed. */
export const feedBytesMax = 256 * 1024 * 1024;

/** What an event takes beside its bytes as a message, and what the bytes that it is sent as take beside themselves. */
const eventOverheadBytes = 256;
const encodingOverheadBytes = 256;

/**
 * The memory that all feeds share. What an event is sent as hangs on the event, in as many forms as it is
 * followed in, and counts as well. Beyond the bound the feeds that were idle for the longest time drop what
 * they keep: their readers that have not taken it yet read it from the database.
 */
export interface FeedMemory {
  /** What is kept at present. */
  readonly bytes: number;
  /** The share of one feed. */
  open(shed: () => void): FeedShare;
  /** Notes what hangs on an event from now on; it goes when a feed drops the event, or is not kept at all. */
  hang(event: Event, bytes: number): void;
}

/** What one feed keeps. */
export interface FeedShare {
  /** Counts an event that the feed keeps from now on. It may have to drop it, and others, before this returns. */
  keep(event: Event, wireBytes: number): void;
  /** The feed keeps an event no more. */
  drop(event: Event): void;
}

interface Kept {
  readonly share: Share;
  bytes: number;
}

interface Share {
  readonly shed: () => void;
  bytes: number;
}

export function createFeedMemory(bytesMax: number = feedBytesMax): FeedMemory {
  const kept = new WeakMap<Event, Kept>();
  /** Those that keep something, the one that was idle for the longest time first. */
  const shares = new Set<Share>();
  let total = 0;

  function add(one: Kept, bytes: number): void {
    const { share } = one;
    one.bytes += bytes;
    share.bytes += bytes;
    total += bytes;
    shares.delete(share);
    shares.add(share);
    while (total > bytesMax) {
      const [idlest] = shares;
      if (idlest === undefined) return;
      shares.delete(idlest);
      idlest.shed();
    }
  }

  return {
    get bytes() {
      return total;
    },
    open(shed) {
      const share: Share = { shed, bytes: 0 };
      return {
        keep(event, wireBytes) {
          const one = { share, bytes: 0 };
          kept.set(event, one);
          add(one, wireBytes + eventOverheadBytes);
        },
        drop(event) {
          const one = kept.get(event);
          if (one === undefined) return;
          kept.delete(event);
          share.bytes -= one.bytes;
          total -= one.bytes;
          if (share.bytes === 0) shares.delete(share);
        },
      };
    },
    hang(event, bytes) {
      const one = kept.get(event);
      if (one !== undefined) add(one, bytes + encodingOverheadBytes);
    },
  };
}
