import type { Caller } from './api-key.ts';
import { ApiKeyInvalid } from './api-key-errors.ts';
import type { CallerStore } from './caller-store.ts';

type End = (reason: Error) => void;

/** Watches over streams, which were authenticated once and go on for days. */
export interface StreamWatch {
  /**
   * Calls `end` when the secret that the caller has shown works no more, since its key was revoked or has expired
   * or it was rotated away; or when all are to end. Until what it returns is called.
   */
  watch(caller: Pick<Caller, 'secretHash'>, end: End): () => void;
  /** One query for the secrets of all streams of this process. */
  check(): Promise<void>;
  /** Ends every stream, also those that are still to come. */
  endAll(reason: Error): void;
}

export function createStreamWatch(store: Pick<CallerStore, 'findEndedSecrets'>): StreamWatch {
  const streams = new Map<string, Set<End>>();
  let endedBy: Error | undefined;

  function endThoseOf(secretHash: string, reason: Error): void {
    const ends = streams.get(secretHash) ?? [];
    streams.delete(secretHash);
    for (const end of ends) end(reason);
  }

  return {
    watch({ secretHash }, end) {
      if (endedBy !== undefined) end(endedBy);
      const ends = streams.get(secretHash) ?? new Set();
      streams.set(secretHash, ends);
      ends.add(end);
      return () => {
        ends.delete(end);
        if (ends.size === 0 && streams.get(secretHash) === ends) streams.delete(secretHash);
      };
    },
    async check() {
      if (streams.size === 0) return;
      for (const hash of await store.findEndedSecrets([...streams.keys()])) {
        endThoseOf(hash, new ApiKeyInvalid());
      }
    },
    endAll(reason) {
      endedBy = reason;
      for (const hash of [...streams.keys()]) endThoseOf(hash, reason);
    },
  };
}
