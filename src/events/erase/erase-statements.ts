import type { Statement } from '../../database/statements.ts';
import { eventColumns } from '../event-row.ts';

/**
 * Erases the event `$1` of the workspace `$2` and returns it as it is then; nothing for one that was erased before, that
 * retention is past, or whose workspace was deleted. It is what the trigger of `events` lets pass, and nothing else is.
 * No index can be asked whether the workspace is not another one: so that of the ids is walked, whatever PostgreSQL knows of
 * the partition.
 */
export const eraseStatement: Statement = {
  name: 'harbor_erase_event',
  text: `
    update events set payload = '{}', payload_bytes = 2, subject = null, metadata = null,
      trace_context = null, erased_at = clock_timestamp()
    where id = $1::uuid and workspace_id is not distinct from $2 and erased_at is null and exists (
      select from workspaces
      where workspaces.id = $2 and events.sequence >= first_sequence and deleted_at is null
    )
    returning ${eventColumns}`,
  rows: 'texts',
};

/** What was read of the log before holds content that is gone: see `LogState`. */
export const raiseRevisionStatement: Statement = {
  name: 'harbor_raise_revision',
  text: 'update workspaces set revision = revision + 1 where id = $1',
};
