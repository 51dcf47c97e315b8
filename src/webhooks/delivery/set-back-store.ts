import { textArray } from '../../database/binary-arrays.ts';
import type { Statement } from '../../database/statements.ts';
import type { InTransaction } from '../../database/transaction.ts';

/*
 * A log is shorter than it was where the database was restored without all of its tables, or by hand. Sequences beyond
 * its end are given again, to other events: a cursor that stands there would go past them.
 */

const lockCursorsStatement: Statement = {
  name: 'harbor_webhooks_lock_cursors_of_logs',
  text: `
    select id from webhook_cursors where workspace_id = any($1::text[]) and state in ('running', 'paused')
    order by id for no key update`,
};

/** For the transaction that has locked the cursors: nothing moves them, so that what is beyond the end now was so before. */
const putBackStatement: Statement = {
  name: 'harbor_webhooks_put_back',
  text: `
    update webhook_cursors cursors set position = least(position, last_sequence),
      end_sequence = case when end_sequence is not null then least(end_sequence, last_sequence) end,
      previous_sequence = least(previous_sequence, last_sequence),
      warned_sequence = least(warned_sequence, last_sequence),
      state = case when is_over then 'done' else state end, ended_at = case when is_over then clock_timestamp() end
    from (
      select beyond.id, workspaces.id as workspace_id, last_sequence, state = 'running' and unfinished <= 0
        and end_sequence is not null and least(position, last_sequence) >= least(end_sequence, last_sequence) as is_over
      from webhook_cursors beyond join workspaces on workspaces.id = beyond.workspace_id
      where workspaces.id = any($1::text[]) and state in ('running', 'paused')
        and greatest(position, end_sequence) > last_sequence
    ) as facts
    where cursors.id = facts.id and cursors.workspace_id = facts.workspace_id
    returning cursors.id`,
};

export function createSetBackStore(inTransaction: InTransaction) {
  return {
    /** Puts cursors that are beyond the end of their logs there, and returns how many: what comes next is sent. */
    putBack: (workspaceIds: readonly string[]): Promise<number> =>
      inTransaction(async (tx) => {
        const values = [textArray(workspaceIds)];
        await tx.run(lockCursorsStatement, values);
        return (await tx.run(putBackStatement, values)).length;
      }),
  };
}
