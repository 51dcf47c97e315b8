import { DirectConnectionFailed } from './database/direct-pool.ts';
import { DatabaseUnavailable } from './database-unavailable.ts';
import { describeCause } from './describe-cause.ts';
import type { Log } from './log.ts';

/** What the log says of the work that no call waits for. */
export interface BackgroundReport {
  /** Makes the reporter of one loop, for rounds of it that fail. */
  of(loop: string): (error: unknown) => void;
  /** To be called whenever PostgreSQL has answered. */
  databaseAnswered(): void;
}

/** Every loop fails every second while PostgreSQL is lost; one line says as much as all of theirs. */
const lostEveryMs = 1_000;

/**
 * A lost PostgreSQL is a line a second at the most, whoever misses it, without a stack, and one when it is back;
 * every other failure is a line of its own, with the stack that shows whose fault it is.
 */
export function createBackgroundReport(
  log: Log,
  nowMs: () => number = () => performance.now(),
): BackgroundReport {
  /** When it was lost; set by the line that says so. */
  let lostAtMs: number | undefined;
  let toldAtMs = Number.NEGATIVE_INFINITY;

  function reportLost(loop: string, error: DatabaseUnavailable): void {
    const now = nowMs();
    if (now - toldAtMs < lostEveryMs) return;
    toldAtMs = now;
    // By way of the pooler it answers all the while: that says nothing of this.
    if (!(error instanceof DirectConnectionFailed)) lostAtMs ??= now;
    log.warn({ loop, cause: describeBriefly(error) }, 'PostgreSQL is lost');
  }

  return {
    of: (loop) => (error) => {
      if (error instanceof DatabaseUnavailable) reportLost(loop, error);
      else log.warn({ loop, cause: describeCause(error) }, 'a background round failed');
    },
    databaseAnswered() {
      if (lostAtMs === undefined) return;
      log.info({ lost_ms: Math.round(nowMs() - lostAtMs) }, 'PostgreSQL is back');
      lostAtMs = undefined;
    },
  };
}

function describeBriefly({ name, message, cause }: Error): object {
  return { name, message, cause: cause instanceof Error ? cause.message || cause.name : undefined };
}
