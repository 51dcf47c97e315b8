import { DatabaseUnavailable } from '../../database-unavailable.ts';

export interface FewAtOnceOptions {
  /** Tasks at once. */
  readonly max: number;
  /** While nothing ends for this time, a task is begun beside those that run, to learn when it goes on. */
  readonly silentMs: number;
  /** While nothing ends for this time, whoever has waited for as long fails. */
  readonly waitMsMax: number;
}

/** Runs a task in its turn, which is told how long it has waited. @throws DatabaseUnavailable */
export type InTurn = <T>(task: (waitedMs: number) => Promise<T>) => Promise<T>;

interface Waiting {
  readonly askedAtMs: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Runs tasks, few of them at once, the others in the order in which they came. A crowd waits for as long as
 * it moves on; behind PostgreSQL when that is silent nobody waits for ever.
 */
export function fewAtOnce({ max, silentMs, waitMsMax }: FewAtOnceOptions): InTurn {
  const waiting = new Set<Waiting>();
  let running = 0;
  let movedAtMs = 0;
  let begunAtMs = 0;
  let timer: NodeJS.Timeout | undefined;

  function begin(): void {
    running++;
    begunAtMs = performance.now();
  }

  function beginNext(): void {
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    begin();
    next.resolve();
  }

  function wait(): Promise<void> {
    const askedAtMs = performance.now();
    if (timer === undefined) timer = setTimeout(look, silentMs / 4);
    return new Promise((resolve, reject) => waiting.add({ askedAtMs, resolve, reject }));
  }

  function look(): void {
    timer = undefined;
    const now = performance.now();
    if (now - movedAtMs >= waitMsMax) failLate(now);
    if (now - Math.max(movedAtMs, begunAtMs) >= silentMs) beginNext();
    if (waiting.size > 0) timer = setTimeout(look, silentMs / 4);
  }

  function failLate(now: number): void {
    for (const one of waiting) {
      if (now - one.askedAtMs < waitMsMax) return;
      waiting.delete(one);
      one.reject(new DatabaseUnavailable('PostgreSQL does not answer', { sent: false }));
    }
  }

  return async (task) => {
    const askedAtMs = performance.now();
    if (running < max) begin();
    else await wait();
    try {
      const result = await task(performance.now() - askedAtMs);
      movedAtMs = performance.now();
      return result;
    } finally {
      running--;
      if (running < max) beginNext();
    }
  };
}
