import type { EventStore } from '../../src/events/index.ts';

/** A store that counts what is asked of the one behind it. */
export interface CountedStore extends EventStore {
  readonly appends: number;
  /** The ids of each read. */
  readonly reads: readonly (readonly string[])[];
  /** The bytes of payloads that each read brought. */
  readonly bytesRead: readonly number[];
}

export function countStatements(store: EventStore): CountedStore {
  let appends = 0;
  const reads: (readonly string[])[] = [];
  const bytesRead: number[] = [];
  return {
    ...store,
    get appends() {
      return appends;
    },
    reads,
    bytesRead,
    append(...values) {
      appends++;
      return store.append(...values);
    },
    async read(ids, timeoutMs) {
      reads.push(ids);
      const read = await store.read(ids, timeoutMs);
      const payloads = [...read.events.values()].map(({ payload }) => JSON.stringify(payload));
      bytesRead.push(payloads.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0));
      return read;
    },
  };
}
