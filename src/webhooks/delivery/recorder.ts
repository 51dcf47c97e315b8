import { setTimeout as delay } from 'node:timers/promises';
import type { DeliveryStore, Recorded, Result } from './delivery-store.ts';

/** Results a statement at the most. */
const resultsMax = 500;
/** While results come thick, a few milliseconds gather many of them: less of PostgreSQL's time for each. */
const lingerMs = 10;
const lingerFrom = 8;
const retryMs = 250;

/** Writes down what came of requests, many at a time. */
export interface Recorder {
  /** Resolves once it is on disk: true when it was recorded, false when somebody else has taken the delivery over. */
  record(kind: 'windows' | 'work', result: Result): Promise<boolean>;
  /** Resolves when all that was given was recorded, or given up because the process ends. */
  drained(): Promise<void>;
  /** Gives up what cannot be recorded now: it will be sent again by somebody else. */
  stop(): void;
}

export interface RecorderOptions {
  readonly onRecorded: (recorded: Recorded) => void;
  readonly onError: (error: unknown) => void;
}

interface Waiting {
  readonly result: Result;
  readonly resolve: (isRecorded: boolean) => void;
}

/**
 * A statement whose answer was lost runs again: what is there already is not counted twice. As long as PostgreSQL cannot
 * be reached the results are kept; the leases run on, and who takes them over meets what was recorded.
 */
export function createRecorder(
  store: Pick<DeliveryStore, 'record'>,
  options: RecorderOptions,
): Recorder {
  const lanes = { windows: createLane('windows'), work: createLane('work') };
  let isStopped = false;

  function createLane(kind: 'windows' | 'work') {
    let waiting: Waiting[] = [];
    let running: Promise<void> | undefined;

    async function run(): Promise<void> {
      while (waiting.length > 0) {
        if (waiting.length >= lingerFrom && waiting.length < resultsMax) await delay(lingerMs);
        const batch = waiting.slice(0, resultsMax);
        waiting = waiting.slice(resultsMax);
        const recorded = await write(kind, batch);
        for (const { result, resolve } of batch) resolve(recorded?.has(keyOf(result)) ?? false);
      }
      running = undefined;
    }

    return {
      add(one: Waiting): void {
        waiting.push(one);
        running ??= run();
      },
      drained: async () => running,
    };
  }

  async function write(
    kind: 'windows' | 'work',
    batch: readonly Waiting[],
  ): Promise<ReadonlySet<string> | undefined> {
    const results = batch.map(({ result }) => result);
    /** Of a statement whose answer was lost: what it has recorded is not told a second time. */
    let isRetried = false;
    for (;;) {
      try {
        const recorded = await store.record(kind, results);
        options.onRecorded(recorded);
        return isRetried ? new Set(results.map(keyOf)) : recorded.recorded;
      } catch (error) {
        options.onError(error);
        if (isStopped) return undefined;
        isRetried = true;
        await delay(retryMs);
      }
    }
  }

  return {
    record: (kind, result) => new Promise((resolve) => lanes[kind].add({ result, resolve })),
    async drained() {
      await Promise.all([lanes.windows.drained(), lanes.work.drained()]);
    },
    stop() {
      isStopped = true;
    },
  };
}

function keyOf({ delivery }: Result): string {
  return `${delivery.windowId} ${delivery.place}`;
}
