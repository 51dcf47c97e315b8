import type { Log } from '../log.ts';

/** What becomes of spans that no collector gets. */
export interface LostSpans {
  /** @param error why; undefined: so many were waiting already. */
  note(spans: number, error: Error | undefined): void;
  /** Tells the rest, with those that are still held, which are lost as well. */
  stop(held: number): void;
}

const tellEveryMs = 60_000;
const messageLengthMax = 200;

/** A line at once, and then one a minute at the most, with their number and why the last of them were lost. */
export function createLostSpans(log: Pick<Log, 'warn'>): LostSpans {
  let spans = 0;
  let cause: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  function tell(): void {
    timer = undefined;
    if (spans === 0) return;
    log.warn({ spans, cause }, 'spans were lost');
    spans = 0;
    timer = setTimeout(tell, tellEveryMs).unref();
  }

  return {
    note(more, error) {
      spans += more;
      cause = describe(error);
      if (timer === undefined) tell();
    },
    stop(held) {
      clearTimeout(timer);
      if (held > 0) cause = 'the process stops';
      spans += held;
      tell();
      clearTimeout(timer);
    },
  };
}

function describe(error: Error | undefined): string {
  if (error === undefined) return 'too many are held';
  const { message, name } = error;
  const status = 'code' in error ? `${error.code} ` : '';
  return `${name}: ${status}${message}`.slice(0, messageLengthMax);
}
