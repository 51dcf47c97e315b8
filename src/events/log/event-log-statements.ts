import type { Statement } from '../../database/statements.ts';
import { eventsById } from '../by-id-statements.ts';
import { eventColumns } from '../event-row.ts';
import type { Direction } from './log-range.ts';

/**
 * Cuts rows, in their order, where their payloads would exceed `$5`; the first row always stays.
 * Payloads are sized by their column, so that none beyond the cut is read. `rows_found` counts the rows
 * before the cut. Each row tells the floor and the revision of the log as they were when the events were: every event
 * from the floor on is there, and nothing of them that was erased up to the revision. None of a workspace that was deleted.
 */
function cutByBytes(rows: string, order: string, previousId = 'null::uuid'): string {
  return `
    select ${eventColumns}, rows_found::float8 as rows_found, (${previousId}) as previous_id,
      log.first_sequence::float8 as first_sequence, log.revision::float8 as revision
    from (
      select rows.*, count(*) over () as rows_found, sum(payload_bytes) over (
        order by ${order} rows unbounded preceding) - payload_bytes as bytes_before
      from (${rows}) as rows
    ) as sized, (
      select first_sequence, revision from workspaces where id = $1 and deleted_at is null
    ) as log
    where bytes_before < $5::bigint order by sized.${order}`;
}

/**
 * Events of `$1` with `$2` < sequence ≤ `$3`, at most `$4` of them and `$5` bytes. `previous_id` is the
 * event at `$2`, in every row.
 */
export function listStatement(direction: Direction): Statement {
  const previous = 'select id from events where workspace_id = $1 and sequence = $2::bigint';
  const rows = `
    select * from events where workspace_id = $1 and sequence > $2::bigint and sequence <= $3::bigint
    order by sequence ${direction} limit $4::int`;
  return {
    name: `harbor_list_${direction}`,
    text: cutByBytes(rows, `sequence ${direction}`, previous),
  };
}

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
};

/**
 * The highest sequence of `$1` that was created before `$2`, or at it where `$3`; the one before the floor when there is none.
 * Times never decrease along the log, so that halving it finds the place: some 24 look-ups in ten million.
 */
export const placeOfTimeStatement: Statement = {
  name: 'harbor_place_of_time',
  text: `
    with recursive search (low, high) as (
      select first_sequence - 1, last_sequence + 1 from workspaces where id = $1
      union all
      select case when is_before then middle else low end, case when is_before then high else middle end
      from (
        select low, high, middle, (
          select case when $3::boolean then created_at <= $2::timestamptz
            else created_at < $2::timestamptz end
          from events where workspace_id = $1 and sequence = middle
        ) as is_before
        from (select low, high, (low + high) / 2 as middle from search where high - low > 1) as halved
      ) as judged
    )
    select low::float8 as sequence from search order by high - low limit 1`,
};

/** The newest sequence of each of the workspaces in `$1`, the event that has it, the floor and the revision. */
export const logEndsStatement: Statement = {
  name: 'harbor_log_ends',
  text: `
    select id as workspace_id, last_sequence::float8 as last_sequence, (
      select id from events where workspace_id = workspaces.id and sequence = last_sequence
    ) as last_event_id, first_sequence::float8 as first_sequence, revision::float8 as revision
    from workspaces where id = any($1::text[]) and deleted_at is null`,
};
