import { setImmediate as nextTurn } from 'node:timers/promises';
import { DatabaseUnavailable } from './database-unavailable.ts';

/**
 * Reads by key that wait together: while one statement is in flight, the next one fills. So many who ask
 * at once cost few statements and one connection.
 */
export interface GatheredReads<Value> {
  /**
   * The value, or undefined when there is none. Who asks for a key that is being read shares its answer.
   *
   * @throws what `full` makes when too many wait; what the statement throws; DatabaseUnavailable
   * where the statements before this one took too long.
   */
  find(key: string): Promise<Value | undefined>;
}

export interface GatheredReadsOptions<Value> {
  /** Keys that have no value are left out. */
  readonly read: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>;
  /** Those who wait at the most, whether for one key or for many. */
  readonly waitingMax: number;
  readonly full: () => Error;
}

/** Keys a statement. */
const keysMax = 500;
/** What follows an answer is work as well: 500 refusals at once would hold up everybody else for 100 ms. */
const answersATurn = 25;
/** Behind the statements before one's own. */
const waitMsMax = 3_500;

interface Read<Value> {
  readonly promise: Promise<Value | undefined>;
  readonly resolve: (value: Value | undefined) => void;
  readonly reject: (reason: unknown) => void;
  readonly sinceMs: number;
  askers: number;
}

export function createGatheredReads<Value>({
  read,
  waitingMax,
  full,
}: GatheredReadsOptions<Value>): GatheredReads<Value> {
  /** By key, the longest waiting first; those in flight included. */
  const reads = new Map<string, Read<Value>>();
  let askers = 0;
  let running = false;

  function answer(key: string, settle: (one: Read<Value>) => void): void {
    const one = reads.get(key);
    if (one === undefined) return;
    reads.delete(key);
    askers -= one.askers;
    settle(one);
  }

  async function fly(keys: readonly string[]): Promise<void> {
    try {
      const values = await read(keys);
      for (const [index, key] of keys.entries()) {
        if (index > 0 && index % answersATurn === 0) await nextTurn();
        answer(key, (one) => one.resolve(values.get(key)));
      }
    } catch (error) {
      // Whoever waits behind a statement that failed would only wait as long again.
      for (const key of [...reads.keys()]) answer(key, (one) => one.reject(error));
    }
  }

  function refuseLate(): void {
    const latestMs = performance.now() - waitMsMax;
    for (const [key, { sinceMs }] of reads) {
      if (sinceMs > latestMs) return;
      const late = new DatabaseUnavailable('PostgreSQL reads too slowly', { sent: false });
      answer(key, (one) => one.reject(late));
    }
  }

  async function run(): Promise<void> {
    for (; reads.size > 0; refuseLate()) await fly([...reads.keys()].slice(0, keysMax));
    running = false;
  }

  return {
    find(key) {
      if (askers >= waitingMax) return Promise.reject(full());
      askers++;
      const known = reads.get(key);
      if (known !== undefined) {
        known.askers++;
        return known.promise;
      }
      const one = {
        ...Promise.withResolvers<Value | undefined>(),
        askers: 1,
        sinceMs: performance.now(),
      };
      reads.set(key, one);
      if (!running) {
        running = true;
        // After the input of this turn of the event loop: what arrived together is read together.
        setImmediate(() => void run());
      }
      return one.promise;
    },
  };
}
