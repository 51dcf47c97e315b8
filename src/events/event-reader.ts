import type { Event } from './event.ts';
import type { EventStore } from './event-store.ts';

/** Ids a query; at 256 KB a payload, 16 MB at the most. */
const idsMax = 64;

/**
 * Reads events by id. Concurrent reads are gathered like creates are: while one query is in flight, the
 * next one fills; the same id is read once for all who wait for it.
 */
export interface EventReader {
  /**
   * The event with this id, or undefined when there is none.
   *
   * @param id `evt_…` with a valid UUID inside.
   * @throws DatabaseUnavailable
   */
  find(id: string): Promise<Event | undefined>;
}

interface Read {
  readonly promise: Promise<Event | undefined>;
  readonly resolve: (event: Event | undefined) => void;
  readonly reject: (reason: unknown) => void;
}

export function createEventReader(store: Pick<EventStore, 'read'>): EventReader {
  const waiting = new Map<string, Read>();
  let running = false;

  async function run(): Promise<void> {
    while (waiting.size > 0) {
      const reads = [...waiting].slice(0, idsMax);
      for (const [id] of reads) waiting.delete(id);
      try {
        const events = await store.read(reads.map(([id]) => id));
        for (const [id, read] of reads) read.resolve(events.get(id));
      } catch (error) {
        for (const [, read] of reads) read.reject(error);
      }
    }
    running = false;
  }

  return {
    find(id) {
      const known = waiting.get(id);
      if (known !== undefined) return known.promise;
      const read = Promise.withResolvers<Event | undefined>();
      waiting.set(id, read);
      if (!running) {
        running = true;
        setImmediate(() => void run());
      }
      return read.promise;
    },
  };
}
