import { describeStartError } from '../start-errors.ts';

/** An error for a person at a terminal: what is wrong, in one line, without a stack. */
export function explain(error: unknown): string {
  return error instanceof Error ? describeStartError(error) : String(error);
}
