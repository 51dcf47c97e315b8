import { ConnectError } from '@connectrpc/connect';
import { ErrorInfoSchema } from '../../../gen/typescript/google/rpc/error_details_pb.ts';

/** What the service says of itself while it, or PostgreSQL, is being ended, held up or started. */
const passingReasons = new Set([
  'DATABASE_UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'OVERLOADED',
  'SHUTTING_DOWN',
  'SUBSCRIBER_TOO_SLOW',
]);

export function isPassingReason(reason: string): boolean {
  return passingReasons.has(reason);
}

/**
 * Whether a call that failed is to be tried again: its connection was cut, which leaves no reason, or
 * the service gave one that passes.
 */
export function isPassing(error: unknown): boolean {
  const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema);
  return info === undefined || isPassingReason(info.reason);
}
