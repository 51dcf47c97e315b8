/** Why a process takes no calls. `STARTING`: its database is not known to be ready yet. */
export type NotServingReason = 'STARTING' | 'DATABASE_UNAVAILABLE' | 'SHUTTING_DOWN';

/** A process is ready until PostgreSQL has been silent for this time: a blip empties no load balancer. */
const databaseSilenceMsMax = 10_000;

/** Whether this process takes calls: its readiness. That it lives is shown by any answer. */
export interface Health {
  /** Undefined while it takes calls. */
  readonly notServing: NotServingReason | undefined;
  /** Aborts when the process begins to stop. */
  readonly stopping: AbortSignal;
  /** PostgreSQL has answered, which it does only once it is migrated. Ready at once, unless stopping. */
  databaseAnswered(): void;
  /** Not ready from here on, for good. */
  stop(): void;
  /** Resolves when `notServing` has changed, or `signal` aborts. */
  changed(signal: AbortSignal): Promise<void>;
}

/** @param onChange told of each change, and why the process takes no calls. */
export function createHealth(
  onChange: (notServing: NotServingReason | undefined) => void = () => undefined,
): Health {
  const stopping = new AbortController();
  const waiting = new Set<() => void>();
  let notServing: NotServingReason | undefined = 'STARTING';
  let silence: NodeJS.Timeout | undefined;

  function change(to: NotServingReason | undefined): void {
    if (notServing === to || notServing === 'SHUTTING_DOWN') return;
    notServing = to;
    onChange(to);
    for (const resolve of [...waiting]) resolve();
  }

  return {
    get notServing() {
      return notServing;
    },
    stopping: stopping.signal,
    databaseAnswered() {
      if (stopping.signal.aborted) return;
      silence ??= setTimeout(() => change('DATABASE_UNAVAILABLE'), databaseSilenceMsMax).unref();
      silence.refresh();
      change(undefined);
    },
    stop() {
      clearTimeout(silence);
      change('SHUTTING_DOWN');
      stopping.abort();
    },
    changed(signal) {
      return new Promise((resolve) => {
        const done = () => {
          waiting.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        if (signal.aborted) return resolve();
        waiting.add(done);
        signal.addEventListener('abort', done);
      });
    },
  };
}
