import type { ClockReading } from './clock-watch.ts';
import type { Database } from './database.ts';
import type { Statement, StatementRunner } from './statements.ts';

const askStatement: Statement = {
  name: 'harbor_heartbeat',
  text: 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms',
};
/** Of a statement that takes less than 1 ms. */
const askTimeoutMs = 1_500;

/** Notices that PostgreSQL answers, and what time it is there. */
export interface Heartbeat {
  /** Runs statements; each that succeeds is a sign of life, so that a busy pool is none of the contrary. */
  readonly statements: StatementRunner;
  /** Asks for a sign of life, and sets the database's clock by it. @throws DatabaseUnavailable */
  beat(): Promise<void>;
}

export interface HeartbeatOptions {
  readonly onAnswer?: () => void;
  readonly onClock?: (reading: ClockReading) => void;
  /** The clock of this machine. */
  readonly nowMs?: () => number;
}

export function createHeartbeat(
  { clock, statements }: Pick<Database, 'clock' | 'statements'>,
  { onAnswer, onClock, nowMs = Date.now }: HeartbeatOptions = {},
): Heartbeat {
  const heard: StatementRunner = {
    clock,
    async run<Row>(statement: Statement, values: unknown[], timeoutMs: number) {
      const rows = await statements.run<Row>(statement, values, timeoutMs);
      onAnswer?.();
      return rows;
    },
  };
  return {
    statements: heard,
    async beat() {
      const [askedAtMs, machineMs] = [performance.now(), nowMs()];
      const [row] = await heard.run<{ now_ms: number }>(askStatement, [], askTimeoutMs);
      if (row === undefined) return;
      clock.set(row.now_ms, askedAtMs, performance.now());
      onClock?.({ databaseMs: row.now_ms, askedAtMs: machineMs, heardAtMs: nowMs() });
    },
  };
}
