import type { ClientBase } from 'pg';
import { createDatabaseClock } from '../../src/database/database-clock.ts';
import { type Statement, type StatementRunner, toQuery } from '../../src/database/statements.ts';

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
    clock: createDatabaseClock(),
    async run<Row>(statement: Statement, values: unknown[]) {
      steps.push({ statement, values });
      // Without its name: each is planned for what it is asked.
      const { name: _, ...query } = toQuery(statement, values);
      return (await client.query(query)).rows as Row[];
    },
  };
}
