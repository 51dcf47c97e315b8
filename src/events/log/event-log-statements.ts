import type { Statement } from '../../database/statements.ts';
import { eventsById } from '../by-id-statements.ts';
import { eventColumns } from '../event-row.ts';
import { isAmong } from './id-range.ts';
import type { Direction } from './log-range.ts';

/**
 * Cuts rows, in their order, where their payloads would exceed `$5`; the first row always stays. Those of `before` are
 * taken off, for what `columns` say of them. Payloads are sized by their column, so that none beyond the cut is read.
 * What is true of all of them stands in the first row alone: `rows_found` counts the rows before the cut; floor and revision of
 * the log are as they were when the events were: every event from the floor on is there, and nothing of them that was erased
 * up to the revision. No rows of a workspace that was deleted.
 */
function cutByBytes(rows: string, order: string, { before = 'false', columns = '' } = {}): string {
  const inFirstRow = (value: string) => `case when bytes_before = 0 then ${value}::float8 end`;
  return `
    select ${eventColumns}, ${inFirstRow('rows_found')} as rows_found,
      ${inFirstRow('log.first_sequence')} as first_sequence, ${inFirstRow('log.revision')} as revision${columns}
    from (
      select rows.*, count(*) filter (where not (${before})) over () as rows_found,
        coalesce(sum(payload_bytes) filter (where not (${before})) over (
          order by ${order} rows between unbounded preceding and 1 preceding), 0) as bytes_before
      from (${rows}) as rows
    ) as sized, (
      select first_sequence, revision from workspaces where id = $1 and deleted_at is null
    ) as log
    where bytes_before < $5::bigint and not (${before}) order by sized.${order}`;
}

/** Events of `$1` with `$2` < sequence ≤ `$3`, at most `$4` of them and `$5` bytes. */
export function listStatement(direction: Direction): Statement {
  const rows = `
    select * from events where workspace_id = $1 and sequence > $2::bigint and sequence <= $3::bigint
    order by sequence ${direction} limit $4::int`;
  return {
    name: `harbor_list_${direction}`,
    text: cutByBytes(rows, `sequence ${direction}`),
    rows: 'texts',
  };
}

/**
 * Events of `$1` with `$2` < sequence ≤ `$2` + `$3`, of those with ids from `$4` on and below `$6`, `$5` bytes of them at the
 * most. The first row tells id and time of the event at `$2`, where that is among them.
 */
export const nextStatement: Statement = {
  name: 'harbor_next',
  text: cutByBytes(
    `
      select *, lag(id) over in_order as previous_id, lag(created_at) over in_order as previous_at
      from (
        select * from events
        where workspace_id = $1 and sequence >= $2::bigint and sequence <= $2::bigint + $3::int
          and ${isAmong('$4', '$6')}
        order by sequence limit $3::int + 1
      ) as events
      window in_order as (order by sequence)`,
    'sequence',
    {
      before: 'sequence = $2::bigint',
      columns: `,
        previous_id, round(date_part('epoch', previous_at) * 1000) as previous_at_ms`,
    },
  ),
  rows: 'texts',
};

/**
 * The events of `$1` with the ids in `$2` (see `byIdValues`), in their order, `$5` bytes of them at the most; those that are
 * not there are left out.
 */
export const fetchStatement: Statement = {
  name: 'harbor_fetch',
  text: cutByBytes(
    eventsById({ ids: '$2', lowest: '$3', highest: '$4', where: 'workspace_id = $1' }),
    'place',
  ),
  rows: 'texts',
};

/** The newest sequence of each of the workspaces in `$1`, the time of its event, the floor and the revision. */
export const logEndsStatement: Statement = {
  name: 'harbor_log_ends',
  text: `
    select id as workspace_id, last_sequence::float8 as last_sequence,
      (extract(epoch from last_event_at) * 1000)::float8 as last_event_at_ms,
      first_sequence::float8 as first_sequence, revision::float8 as revision
    from workspaces where id = any($1::text[]) and deleted_at is null`,
};
