import { DatabaseUnavailable } from '../../database-unavailable.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface FewAtOnceOptions {
  /** Tasks at once. */
  readonly max: number;
  /** While nothing ends for this time, a task is begun beside those that run, to learn when it goes on. */
  readonly silentMs: number;
  /** While nothing ends for this time, whoever has waited for as long fails. */
  readonly waitMsMax: number;
}

/**
 * Runs a task in its turn, which is told how long it has waited. Whoever leaves meanwhile waits no more, and a task
 * that has not begun never does; one that runs keeps its turn until it ends.
 *
 * @throws the reason of `signal`, DatabaseUnavailable
 */
export type InTurn = <T>(
  task: (waitedMs: number) => Promise<T>,
  signal?: AbortSignal,
) => Promise<T>;

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
    begin();
    next.resolve();
  }

  function wait(signal: AbortSignal | undefined): Promise<void> {
    const askedAtMs = performance.now();
    if (timer === undefined) timer = setTimeout(look, silentMs / 4);
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiting.delete(one);
        signal?.removeEventListener('abort', abandon);
      };
      const abandon = () => one.reject(signal?.reason);
      const one: Waiting = {
        askedAtMs,
        resolve() {
          leave();
          resolve();
        },
        reject(reason) {
          leave();
          reject(reason);
        },
      };
      waiting.add(one);
      signal?.addEventListener('abort', abandon);
    });
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
      one.reject(new DatabaseUnavailable('PostgreSQL does not answer', { sent: false }));
    }
  }

  async function run<T>(task: (waitedMs: number) => Promise<T>, waitedMs: number): Promise<T> {
    try {
      const result = await task(waitedMs);
      movedAtMs = performance.now();
      return result;
    } finally {
      end();
    }
  }

  function end(): void {
    running--;
    if (running < max) beginNext();
  }

  return async (task, signal) => {
    signal?.throwIfAborted();
    const askedAtMs = performance.now();
    if (running < max) begin();
    else await wait(signal);
    if (signal?.aborted) {
      end();
      throw signal.reason;
    }
    return unlessAborted(run(task, performance.now() - askedAtMs), signal);
  };
}
