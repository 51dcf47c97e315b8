import { setTimeout as delay } from 'node:timers/promises';
import { keyOf, type Result } from './delivery.ts';
import type { Recorded, ResultKind } from './record-store.ts';

/** Results a statement at the most. */
const resultsMax = 500;
/** While results come thick, a moment gathers many of them: less of PostgreSQL's time for each. */
const lingerMs = 25;
const lingerFrom = 8;
const lingerTo = 250;
const retryMs = 250;

/** Writes down what came of requests, many at a time. */
export interface Recorder {
  /** Resolves once it is on disk: true when it was recorded, false when somebody else has taken the delivery over. */
  record(kind: ResultKind, result: Result): Promise<boolean>;
  /** Resolves when all that was given was recorded, or given up because the process ends. */
  drained(): Promise<void>;
  /** Somebody waits for what is being gathered. */
  hurry(): void;
  /** Gives up what cannot be recorded now, and whatever comes: it will be sent again by somebody else. */
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
  store: {
    record(kind: ResultKind, results: readonly Result[]): Promise<Recorded>;
  },
  options: RecorderOptions,
): Recorder {
  /** What is in order takes a transaction of its own, which the rest is not to wait for. */
  const queues = {
    windows: { ordered: createQueue('windows'), unordered: createQueue('windows') },
    work: { ordered: createQueue('work'), unordered: createQueue('work') },
  };
  const all = Object.values(queues).flatMap(({ ordered, unordered }) => [ordered, unordered]);
  let isStopped = false;

  function createQueue(kind: ResultKind) {
    let waiting: Waiting[] = [];
    let running: Promise<void> | undefined;

    let hurry: (() => void) | undefined;

    async function linger(): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      hurry = resolve;
      const timer = setTimeout(resolve, lingerMs);
      await promise;
      clearTimeout(timer);
      hurry = undefined;
    }

    async function run(): Promise<void> {
      while (waiting.length > 0) {
        if (waiting.length >= lingerFrom && waiting.length < lingerTo) await linger();
        const batch = waiting.slice(0, resultsMax);
        waiting = waiting.slice(resultsMax);
        const recorded = await write(kind, batch);
        for (const { result, resolve } of batch)
          resolve(recorded?.has(keyOf(result.delivery)) ?? false);
      }
      running = undefined;
    }

    return {
      add(one: Waiting): void {
        waiting.push(one);
        if (waiting.length >= lingerTo) hurry?.();
        running ??= run();
      },
      hurry: () => hurry?.(),
      drained: async () => running,
    };
  }

  async function write(
    kind: ResultKind,
    batch: readonly Waiting[],
  ): Promise<ReadonlySet<string> | undefined> {
    const results = batch.map(({ result }) => result);
    /** Of a statement whose answer was lost: what it has recorded is not told a second time. */
    let isRetried = false;
    for (;;) {
      try {
        const recorded = await store.record(kind, results);
        options.onRecorded(recorded);
        return isRetried
          ? new Set(results.map(({ delivery }) => keyOf(delivery)))
          : recorded.recorded;
      } catch (error) {
        options.onError(error);
        if (isStopped) return undefined;
        isRetried = true;
        await delay(retryMs);
      }
    }
  }

  return {
    record(kind, result) {
      const { ordered, unordered } = queues[kind];
      if (isStopped) return Promise.resolve(false);
      const queue = result.delivery.lane === undefined ? unordered : ordered;
      return new Promise((resolve) => queue.add({ result, resolve }));
    },
    hurry() {
      for (const queue of all) queue.hurry();
    },
    async drained() {
      await Promise.all(all.map((queue) => queue.drained()));
    },
    stop() {
      isStopped = true;
    },
  };
}
