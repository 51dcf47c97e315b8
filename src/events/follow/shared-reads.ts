import { LogGap } from '../event-errors.ts';
import type { NextChunk } from '../log/event-log-store.ts';
import { type LogPart, type LogReader, readLog } from '../log/read-log.ts';
import { unlessAborted } from '../log/unless-aborted.ts';

/**
 * Reads chunks of logs; whoever reads from the same place at the same time is given the same chunk. One is given up when
 * all who wait for it have left.
 *
 * @throws the reason of the part's signal, and what reading a log throws.
 */
export type SharedReads = (part: LogPart) => Promise<NextChunk>;

interface SharedRead {
  readonly answer: Promise<NextChunk>;
  readonly allLeft: AbortController;
  /** Those who still wait for it. */
  readers: number;
}

/** @param onGap is told once of a chunk that lacks an event, however many wait for it. */
export function createSharedReads(store: LogReader, onGap: (gap: LogGap) => void): SharedReads {
  const running = new Map<string, SharedRead>();

  function drop(key: string, read: SharedRead): void {
    if (running.get(key) === read) running.delete(key);
  }

  function begin(key: string, part: LogPart): SharedRead {
    const allLeft = new AbortController();
    const answer = readLog(store, { ...part, signal: allLeft.signal });
    const read = { answer, allLeft, readers: 0 };
    running.set(key, read);
    answer
      .catch((error: unknown) => {
        if (error instanceof LogGap) onGap(error);
      })
      .finally(() => drop(key, read));
    return read;
  }

  return (part) => {
    const { workspaceId, place, signal } = part;
    const key = `${workspaceId} ${place.sequence}`;
    const read = running.get(key) ?? begin(key, part);
    read.readers++;
    return unlessAborted(read.answer, signal, () => {
      if (--read.readers > 0) return;
      // Whoever asks from here on begins anew.
      drop(key, read);
      read.allLeft.abort(signal?.reason);
    });
  };
}
