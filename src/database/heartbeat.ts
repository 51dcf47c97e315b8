import type { Statement, StatementRunner } from './statements.ts';

const pingStatement: Statement = { name: 'harbor_ping', text: 'select 1' };
/** Of a statement that takes less than 1 ms. */
const pingTimeoutMs = 1_500;

/** Notices that PostgreSQL answers. */
export interface Heartbeat {
  /** Runs statements; each that succeeds is a sign of life, so that a busy pool is none of the contrary. */
  readonly statements: StatementRunner;
  /** Asks for a sign of life. @throws DatabaseUnavailable */
  beat(): Promise<void>;
}

export function createHeartbeat(statements: StatementRunner, onAnswer: () => void): Heartbeat {
  const heard: StatementRunner = {
    async run<Row>(statement: Statement, values: unknown[], timeoutMs: number) {
      const rows = await statements.run<Row>(statement, values, timeoutMs);
      onAnswer();
      return rows;
    },
  };
  return {
    statements: heard,
    beat: async () => void (await heard.run(pingStatement, [], pingTimeoutMs)),
  };
}
