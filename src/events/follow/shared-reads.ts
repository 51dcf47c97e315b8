import { LogGap } from '../event-errors.ts';
import { type LogPart, type LogReader, type NextEvents, readLog } from '../log/read-log.ts';

/** Reads chunks of logs; whoever reads from the same place at the same time is given the same chunk. */
export type SharedReads = (part: LogPart) => Promise<NextEvents>;

/** @param onGap is told once of a chunk that lacks an event, however many wait for it. */
export function createSharedReads(store: LogReader, onGap: (gap: LogGap) => void): SharedReads {
  const reads = new Map<string, Promise<NextEvents>>();

  return (part) => {
    const key = `${part.workspaceId} ${part.afterSequence}`;
    const running = reads.get(key);
    if (running !== undefined) return running;
    const read = readLog(store, part)
      .catch((error: unknown) => {
        if (error instanceof LogGap) onGap(error);
        throw error;
      })
      .finally(() => reads.delete(key));
    reads.set(key, read);
    return read;
  };
}
