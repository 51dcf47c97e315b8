import { HarborError } from '../../sdk/src/index.ts';
import { describeStartError } from '../start-errors.ts';

/** An error for a person at a terminal: what is wrong, in one line, without a stack. */
export function explain(error: unknown): string {
  if (error instanceof HarborError) return error.message;
  return error instanceof Error ? describeStartError(error) : String(error);
}
