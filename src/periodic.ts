import { setTimeout as delay } from 'node:timers/promises';

export interface Periodic {
  /** Ends the loop; resolves when the round that is running has ended. */
  stop(): Promise<void>;
}

/**
 * Runs `round` again and again, `intervalMs` after the one before has ended. A round that fails is
 * reported, and the next one comes as if it had not. A round may end early when its signal aborts.
 */
export function startPeriodic(options: {
  readonly intervalMs: number;
  readonly round: (signal: AbortSignal) => Promise<void>;
  readonly onError: (error: unknown) => void;
}): Periodic {
  const controller = new AbortController();
  const { signal } = controller;
  const running = run();

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await options.round(signal).catch(options.onError);
      await delay(options.intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  return {
    stop() {
      controller.abort();
      return running;
    },
  };
}
