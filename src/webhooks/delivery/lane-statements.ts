import type { Statement } from '../../database/statements.ts';

/**
 * Lets the next delivery of each lane come, of cursors and lanes in `$1` and `$2`, where none of the lane is on its way or
 * waits for its time. For the transaction that has locked the cursors, so that nobody parks another meanwhile.
 */
export const releaseLanesStatement: Statement = {
  name: 'harbor_webhooks_release_lanes',
  text: `
    with lanes as materialized (
      select distinct * from unnest($1::uuid[], $2::text[]) as lanes (cursor_id, lane)
    ),
    next as materialized (
      select next.* from lanes cross join lateral (
        select window_id, place, workspace_id, endpoint_id, work.cursor_id, due_at from webhook_work work
        where work.cursor_id = lanes.cursor_id and work.lane = lanes.lane order by work.sequence limit 1
      ) as next
      where next.due_at = 'infinity'
    ),
    released as (
      update webhook_work set due_at = clock_timestamp() from next
      where webhook_work.window_id = next.window_id and webhook_work.place = next.place
        and webhook_work.workspace_id = next.workspace_id
    ),
    unparked as (
      update webhook_cursors set parked = parked - counts.count
      from (select cursor_id, workspace_id, count(*)::int as count from next group by cursor_id, workspace_id) as counts
      where webhook_cursors.id = counts.cursor_id and webhook_cursors.workspace_id = counts.workspace_id
    ),
    noted as (
      update webhook_states set next_work_at = least(next_work_at, clock_timestamp())
      from (select distinct endpoint_id, workspace_id from next) as due
      where webhook_states.endpoint_id = due.endpoint_id and webhook_states.workspace_id = due.workspace_id
    )
    select distinct endpoint_id from next`,
};
