/** Whoever reads a log as it grows. */
export interface Reader {
  /** How many sequences of the log it has not come to yet. */
  readonly lag: number;
}

/** All readers of this process, for those who watch. */
export interface OpenReaders {
  /** @returns what takes the reader out again. */
  enter(reader: Reader): () => void;
  /** Goes through all of them: some 20,000 at the most. */
  count(): { readonly caughtUp: number; readonly behind: number; readonly lagMax: number };
}

export function createOpenReaders(): OpenReaders {
  const readers = new Set<Reader>();
  return {
    enter(reader) {
      readers.add(reader);
      return () => readers.delete(reader);
    },
    count() {
      let behind = 0;
      let lagMax = 0;
      for (const { lag } of readers) {
        if (lag > 0) behind++;
        if (lag > lagMax) lagMax = lag;
      }
      return { caughtUp: readers.size - behind, behind, lagMax };
    },
  };
}
