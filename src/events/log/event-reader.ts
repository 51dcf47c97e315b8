import { DatabaseUnavailable } from '../../database-unavailable.ts';
import type { Event } from '../event.ts';
import type { EventStore } from '../event-store.ts';

/** Ids a query; the store cuts what it brings by bytes as well. */
const idsMax = 64;

/** How long a read waits: 5 s together, while PostgreSQL is silent. */
export interface ReaderPatience {
  /** For its turn; a crowd waits for as long as it moves on. */
  readonly turnMsMax: number;
  /** And then for its answer. */
  readonly answerMsMax: number;
  /** After this time without an answer PostgreSQL counts as silent. */
  readonly silentMs: number;
}

const usualPatience: ReaderPatience = { turnMsMax: 2_000, answerMsMax: 3_000, silentMs: 1_000 };

/**
 * Reads events by id. Concurrent reads are gathered like creates are: while one query is in flight, the
 * next one fills; the same id is read once for all who wait for it.
 *
 * While PostgreSQL is silent, one id a second is sent beside what is in flight, to learn when it is back;
 * the others wait for that, and fail when their time is up.
 */
export interface EventReader {
  /**
   * The event with this id, or undefined when there is none.
   *
   * @param id `evt_…` with a valid UUID inside.
   * @throws DatabaseUnavailable, within 5 s of PostgreSQL's last answer.
   */
  find(id: string): Promise<Event | undefined>;
}

interface Read {
  readonly askedAtMs: number;
  readonly promise: Promise<Event | undefined>;
  readonly resolve: (event: Event | undefined) => void;
  readonly reject: (reason: unknown) => void;
}

export function createEventReader(
  store: Pick<EventStore, 'read'>,
  patience: ReaderPatience = usualPatience,
): EventReader {
  /** In the order in which they were asked for. */
  let waiting = new Map<string, Read>();
  let flights = 0;
  let lastBegunAtMs = 0;
  let lastAnsweredAtMs = 0;
  let isSilent = false;
  let isScheduled = false;
  let timer: NodeJS.Timeout | undefined;

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      pump();
    });
  }

  function pump(): void {
    const now = performance.now();
    if (now - lastAnsweredAtMs >= patience.turnMsMax) failLate(now);
    if (flights > 0 && now - lastBegunAtMs >= patience.silentMs) isSilent = true;
    if (waiting.size > 0 && (flights === 0 || (isSilent && isDue(now)))) {
      void fly([...waiting].slice(0, isSilent ? 1 : idsMax));
    }
    if (waiting.size > 0 && timer === undefined) timer = setTimeout(onTimer, patience.silentMs / 4);
  }

  function isDue(now: number): boolean {
    return now - lastBegunAtMs >= patience.silentMs;
  }

  function onTimer(): void {
    timer = undefined;
    pump();
  }

  function failLate(now: number): void {
    for (const [id, read] of waiting) {
      if (now - read.askedAtMs < patience.turnMsMax) return;
      waiting.delete(id);
      read.reject(new DatabaseUnavailable('PostgreSQL does not answer', { sent: false }));
    }
  }

  async function fly(reads: [id: string, read: Read][]): Promise<void> {
    for (const [id] of reads) waiting.delete(id);
    flights++;
    lastBegunAtMs = performance.now();
    try {
      const ids = reads.map(([id]) => id);
      const { events, leftOut } = await store.read(ids, patience.answerMsMax);
      isSilent = false;
      lastAnsweredAtMs = performance.now();
      const again = new Set(leftOut);
      for (const [id, read] of reads) if (!again.has(id)) read.resolve(events.get(id));
      putBack(reads.filter(([id]) => again.has(id)));
    } catch (error) {
      isSilent = error instanceof DatabaseUnavailable;
      for (const [, read] of reads) read.reject(error);
    }
    flights--;
    pump();
  }

  /** They have waited the longest, and go first. */
  function putBack(reads: readonly [id: string, read: Read][]): void {
    if (reads.length === 0) return;
    const asked = waiting;
    waiting = new Map(reads);
    for (const [id, read] of asked) {
      const before = waiting.get(id);
      if (before === undefined) waiting.set(id, read);
      else before.promise.then(read.resolve, read.reject);
    }
  }

  return {
    find(id) {
      const known = waiting.get(id);
      if (known !== undefined) return known.promise;
      const read = { askedAtMs: performance.now(), ...Promise.withResolvers<Event | undefined>() };
      waiting.set(id, read);
      schedule();
      return read.promise;
    },
  };
}
