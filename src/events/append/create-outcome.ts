import { DatabaseUnavailable } from '../../database-unavailable.ts';
import type { CreateOutcome } from '../../observer.ts';
import {
  AppendAbandoned,
  AppendContended,
  AppendQueueFull,
  IdempotencyKeyReused,
} from '../event-errors.ts';

/** What becomes of a create that ends with an error. */
export function failureOf(error: unknown): CreateOutcome {
  if (error instanceof IdempotencyKeyReused) return 'key_reused';
  if (error instanceof AppendQueueFull) return 'overloaded';
  if (error instanceof AppendAbandoned) return 'abandoned';
  const isUnavailable = error instanceof DatabaseUnavailable || error instanceof AppendContended;
  return isUnavailable ? 'unavailable' : 'failed';
}
