import type pg from 'pg';
import type { Statement, StatementRunner } from '../../src/database/statements.ts';
import { createEventLogStore } from '../../src/events/index.ts';
import type { Case } from './cases.ts';

/** A statement and what it is asked. */
export interface Step {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

/** Asks it of the service's own store, and returns the statements that this takes, in their order. */
export async function recordSteps(client: pg.Client, { ask }: Case): Promise<Step[]> {
  const steps: Step[] = [];
  const runner: StatementRunner = {
    async run<Row>(statement: Statement, values: unknown[]) {
      steps.push({ statement, values });
      return (await client.query({ text: statement.text, values })).rows as Row[];
    },
  };
  await ask(createEventLogStore(runner));
  return steps;
}
