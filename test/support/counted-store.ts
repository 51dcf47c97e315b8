import type { Event, EventStore } from '../../src/events/index.ts';

/** A store that counts what is asked of the one behind it. */
export interface CountedStore extends EventStore {
  readonly appends: number;
  /** The ids of each read. */
  readonly reads: readonly (readonly string[])[];
  /** The bytes of content that each read brought: payloads, subjects and metadata. */
  readonly bytesRead: readonly number[];
}

/** The bytes of what events hold, as it is stored. */
export function contentBytesOf(events: readonly Event[]): number {
  const texts = events.flatMap(({ payload, subject = '', metadata }) => [
    JSON.stringify(payload),
    subject,
    metadata === undefined ? '' : JSON.stringify(metadata),
  ]);
  return texts.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0);
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
      bytesRead.push(contentBytesOf([...read.events.values()]));
      return read;
    },
  };
}
