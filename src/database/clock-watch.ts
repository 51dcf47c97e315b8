import type { Log } from '../log.ts';

/** When PostgreSQL said what time it is there, by the clock of this machine; milliseconds since 1970. */
export interface ClockReading {
  readonly databaseMs: number;
  readonly askedAtMs: number;
  readonly heardAtMs: number;
}

/** Receivers of webhooks refuse what was signed some minutes ago, or will be, by the clock of this machine. */
const wrongMs = 60_000;
/** Well below that, so that a clock at the edge is not told of again and again. */
const rightMs = 30_000;

/** Tells once when the clock of this machine is wrong by that of the database, and once when it is right again. */
export function createClockWatch(log: Log): (reading: ClockReading) => void {
  let isWrong = false;
  return (reading) => {
    const aheadMs = Math.round(aheadMsOf(reading));
    const isWrongNow = Math.abs(aheadMs) > (isWrong ? rightMs : wrongMs);
    if (isWrongNow === isWrong) return;
    isWrong = isWrongNow;
    if (isWrong) {
      log.error(
        { ahead_ms: aheadMs },
        'the clock of this machine is not that of the database: receivers refuse webhooks for it, set it right',
      );
    } else log.info({ ahead_ms: aheadMs }, 'the clock of this machine is right again');
  };
}

/** What is certain of it: the database may have answered at any moment from the question to the answer. */
function aheadMsOf({ databaseMs, askedAtMs, heardAtMs }: ClockReading): number {
  if (databaseMs < askedAtMs) return askedAtMs - databaseMs;
  return Math.min(0, heardAtMs - databaseMs);
}
