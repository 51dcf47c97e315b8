import type { ClientBase } from 'pg';
import type { Statement, StatementRunner } from '../../src/database/statements.ts';

/** A statement and what it is asked. */
export interface Step {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

/** Runs statements on a connection, and notes them in their order. */
export function createRecorder(client: ClientBase): StatementRunner & { readonly steps: Step[] } {
  const steps: Step[] = [];
  return {
    steps,
    async run<Row>(statement: Statement, values: unknown[]) {
      steps.push({ statement, values });
      return (await client.query({ text: statement.text, values })).rows as Row[];
    },
  };
}
