import { describeCause } from './describe-cause.ts';
import type { Log } from './log.ts';

/** How the process ends: what was started is ended, the newest first, also while something still starts. */
export interface Shutdown {
  /** Aborts when the stop begins. */
  readonly signal: AbortSignal;
  /** Has the stop end something more. Too late once it has begun: look at `signal` first. */
  add(end: () => Promise<void>): void;
  /** Stops as a signal would, says why on standard error, and exits with 1. */
  fail(message: string): void;
}

/** Calls get 20 s to finish, the rest a few more; past this the process ends whatever is left. */
const stopMsMax = 25_000;
/** A terminal tells npm and its child of one Ctrl-C, and npm passes its own on, some milliseconds later. */
const sameSignalMsMax = 1_000;

/** What a signal asks for. Two within a second are the same one; a SIGINT after that does not want to wait. */
export function createSignalReader(): (
  signal: NodeJS.Signals,
  nowMs: number,
) => 'stop' | 'exit' | 'nothing' {
  let firstMs: number | undefined;
  return (signal, nowMs) => {
    if (firstMs === undefined) {
      firstMs = nowMs;
      return 'stop';
    }
    return signal === 'SIGINT' && nowMs - firstMs > sameSignalMsMax ? 'exit' : 'nothing';
  };
}

/** Stops on SIGTERM, SIGINT or SIGHUP (the terminal was closed), from now on, and exits with 0. */
export function stopOnSignal(log: Log): Shutdown {
  const ends: (() => Promise<void>)[] = [];
  const stopping = new AbortController();
  const readSignal = createSignalReader();

  async function endAll(): Promise<void> {
    for (const end of ends.reverse()) await end();
  }

  function stop(exitCode: number): void {
    if (stopping.signal.aborted) return;
    stopping.abort();
    setTimeout(() => {
      log.error('the stop took too long; exiting');
      log.flush(() => process.exit(1));
    }, stopMsMax).unref();
    endAll().then(
      () => {
        log.info('stopped');
        log.flush(() => process.exit(exitCode));
      },
      (error: unknown) => {
        log.error({ cause: describeCause(error) }, 'the stop failed');
        log.flush(() => process.exit(1));
      },
    );
  }

  const onSignal = (signal: NodeJS.Signals) => {
    const wish = readSignal(signal, performance.now());
    if (wish === 'exit') process.exit(130);
    if (wish !== 'stop') return;
    log.info({ signal }, 'stopping');
    stop(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, onSignal);

  return {
    signal: stopping.signal,
    add: (end) => void ends.push(end),
    fail(message) {
      log.fatal(message);
      process.stderr.write(`harbor: ${message}\n`);
      stop(1);
    },
  };
}
