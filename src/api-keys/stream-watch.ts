import { ApiKeyInvalid } from './api-key-errors.ts';
import type { ApiKeyStore } from './api-key-store.ts';

type End = (reason: Error) => void;

/** Watches over streams, which were authenticated once and go on for days. */
export interface StreamWatch {
  /** Calls `end` when the key is revoked or expires, or all are to end; until what it returns is called. */
  watch(apiKeyId: string, end: End): () => void;
  /** One query for all keys of all streams of this process. */
  check(): Promise<void>;
  /** Ends every stream, also those that are still to come. */
  endAll(reason: Error): void;
}

export function createStreamWatch(store: Pick<ApiKeyStore, 'findEnded'>): StreamWatch {
  const streams = new Map<string, Set<End>>();
  let endedBy: Error | undefined;

  function endThoseOf(apiKeyId: string, reason: Error): void {
    const ends = streams.get(apiKeyId) ?? [];
    streams.delete(apiKeyId);
    for (const end of ends) end(reason);
  }

  return {
    watch(apiKeyId, end) {
      if (endedBy !== undefined) end(endedBy);
      const ends = streams.get(apiKeyId) ?? new Set();
      streams.set(apiKeyId, ends);
      ends.add(end);
      return () => {
        ends.delete(end);
        if (ends.size === 0 && streams.get(apiKeyId) === ends) streams.delete(apiKeyId);
      };
    },
    async check() {
      if (streams.size === 0) return;
      for (const id of await store.findEnded([...streams.keys()])) {
        endThoseOf(id, new ApiKeyInvalid());
      }
    },
    endAll(reason) {
      endedBy = reason;
      for (const id of [...streams.keys()]) endThoseOf(id, reason);
    },
  };
}
