import { uuidArray } from '../../database/binary-arrays.ts';
import type { Transaction } from '../../database/transaction.ts';
import { lockEndpointsStatement } from '../delivery/work-statements.ts';
import {
  cancelReplayWorkStatement,
  cancelWorkStatement,
  lockReplayWorkStatement,
  lockWorkStatement,
} from './endpoint-statements.ts';

/** Of an endpoint; UUIDs. */
export interface CancelledWork {
  readonly endpointId: string;
  readonly workspaceId: string;
  /** Of this replay alone; undefined: all of it. */
  readonly replayId?: string;
}

/**
 * Cancels what waits. All of it is locked first, and seen after that: whoever had the endpoint meanwhile may have parked
 * more behind it, which would wait for good.
 */
export async function cancelWork(
  tx: Transaction,
  { endpointId, workspaceId, replayId }: CancelledWork,
): Promise<void> {
  const [lock, cancel] =
    replayId === undefined
      ? [lockWorkStatement, cancelWorkStatement]
      : [lockReplayWorkStatement, cancelReplayWorkStatement];
  const of = [endpointId, workspaceId];
  const values = replayId === undefined ? of : [...of, replayId];
  await tx.run(lock, values);
  await tx.run(lockEndpointsStatement, [uuidArray([endpointId])]);
  await tx.run(cancel, values);
}
