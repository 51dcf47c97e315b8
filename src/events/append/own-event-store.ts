import type { Transaction } from '../../database/transaction.ts';
import { type Event, type OwnEvent, prepareOwnEvent } from '../event.ts';
import { AppendRowRefused, EventWorkspaceMissing } from '../event-errors.ts';
import {
  type AppendRow,
  appendStatement,
  rethrowAsAppendError,
  toAppendedRow,
  toAppendValues,
} from './append-statements.ts';

/** As long as every other statement of a transaction. */
const lockMsMax = 1_000;

/**
 * Appends an event of the service itself, as a part of a transaction: recorded with all else of it, or not at all. The
 * event is locked in as callers' are: its key, and then the counter of its workspace, which other appends wait for
 * until the transaction ends. So it comes after whatever else the transaction locks of keys, and late.
 *
 * Once the transaction is committed, whoever follows the log is to be told of the event.
 *
 * @returns undefined when an event was recorded with this key within the last 24 hours; nothing is appended then.
 * @throws EventWorkspaceMissing, AppendContended, DatabaseUnavailable; the transaction can only be rolled back then.
 */
export async function appendOwnEvent(
  tx: Pick<Transaction, 'run'>,
  event: OwnEvent,
): Promise<Event | undefined> {
  const prepared = prepareOwnEvent(event);
  try {
    const values = toAppendValues([prepared], [0], lockMsMax);
    const [row] = await tx.run<AppendRow>(appendStatement, values).catch(rethrowAsAppendError);
    const appended = toAppendedRow(prepared, row);
    return appended.kind === 'created' ? appended.event : undefined;
  } catch (error) {
    const isMissing = error instanceof AppendRowRefused && error.workspaceMissing;
    throw isMissing ? new EventWorkspaceMissing(event.workspaceId) : error;
  }
}
