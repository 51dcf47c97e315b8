import type { Statement } from '../../database/statements.ts';
import { stateAfter } from '../delivery/room-statements.ts';

/** How long before it is gone a loss is told of: a day, or a tenth of a retention of less than ten. */
const lead = `least(interval '24 hours', workspaces.retention_days * interval '24 hours' / 10)`;
const isOfAnybody = `cursors.state in ('running', 'paused') and endpoints.deleted_at is null
      and workspaces.deleted_at is null`;

/**
 * Cursors after `$1` by id, `$2` at the most, whose oldest event that is not delivered is past within the lead, and was not
 * warned of: where that is, and until when it is kept. What waits as work comes before the position.
 */
export const listExpiringStatement: Statement = {
  name: 'harbor_webhooks_list_expiring',
  text: `
    with behind as materialized (
      select cursors.id, cursors.workspace_id, cursors.endpoint_id, cursors.kind, cursors.position,
        cursors.end_sequence, cursors.type_patterns, cursors.only_failed, endpoints.type_patterns as endpoint_patterns,
        endpoints.subject, workspaces.first_sequence, workspaces.retention_days * interval '24 hours' as retention,
        ${lead} as lead,
        (select min(work.sequence) from webhook_work work where work.endpoint_id = cursors.endpoint_id
          and work.cursor_id = cursors.id and work.sequence >= workspaces.first_sequence
          and work.sequence > cursors.warned_sequence) as waiting,
        case when cursors.position < least(workspaces.last_sequence, cursors.end_sequence)
          then greatest(cursors.position + 1, workspaces.first_sequence) end as next, cursors.warned_sequence
      from webhook_cursors cursors
      join workspaces on workspaces.id = cursors.workspace_id and workspaces.retention_days is not null
      join webhook_endpoints endpoints
        on endpoints.id = cursors.endpoint_id and endpoints.workspace_id = cursors.workspace_id
      where cursors.id > $1::uuid and ${isOfAnybody}
    ),
    oldest as (
      select behind.*, least(waiting, next) as sequence, (
        select created_at from events
        where events.workspace_id = behind.workspace_id and events.sequence = least(waiting, next)) as created_at
      from behind where least(waiting, next) > warned_sequence
    )
    select id, workspace_id, endpoint_id, kind, position::float8 as position, end_sequence::float8 as end_sequence,
      type_patterns, only_failed, endpoint_patterns, subject, sequence::float8 as sequence,
      waiting is not null as has_work, greatest(position, first_sequence - 1)::float8 as unread_after,
      (extract(epoch from created_at) * 1000)::float8 as created_at_ms,
      (extract(epoch from created_at + retention) * 1000)::float8 as expires_at_ms,
      (extract(epoch from lead) * 1000)::float8 as lead_ms
    from oldest where created_at + retention <= statement_timestamp() + lead
    order by id limit $2::int`,
};

/** Notes that the loss of `$2` to `$3` was told of, for the cursor `$1` that still stands at `$4`; once. */
export const warnStatement: Statement = {
  name: 'harbor_webhooks_warn',
  text: `
    update webhook_cursors set warned_sequence = $3::bigint from webhook_endpoints endpoints
    where webhook_cursors.id = $1::uuid and webhook_cursors.warned_sequence < $2::bigint
      and webhook_cursors.position = $4::bigint and webhook_cursors.state in ('running', 'paused')
      and endpoints.id = webhook_cursors.endpoint_id and endpoints.workspace_id = webhook_cursors.workspace_id
      and endpoints.deleted_at is null
    returning webhook_cursors.workspace_id, endpoints.url, clock_timestamp()::text as at`,
};

/** Takes the cursor `$1` from `$2` on to `$3`, with nothing that is for it between. */
export const passStatement: Statement = {
  name: 'harbor_webhooks_pass',
  text: `
    update webhook_cursors set position = $3::bigint, ${stateAfter('$3::bigint', 'unfinished')}
    where id = $1::uuid and position = $2::bigint and state in ('running', 'paused')`,
};

/** Losses are told at once, and while they go on so often at the most. */
const isDue = `(cursors.lost_told_at is null or cursors.lost_told_at <= statement_timestamp() - interval '1 hour')`;

/** Cursors after `$1` by id, `$2` at the most, before the floor of their log, or with a loss that is to be told. */
export const listLostStatement: Statement = {
  name: 'harbor_webhooks_list_lost',
  text: `
    select cursors.id from webhook_cursors cursors join workspaces on workspaces.id = cursors.workspace_id
    join webhook_endpoints endpoints
      on endpoints.id = cursors.endpoint_id and endpoints.workspace_id = cursors.workspace_id
    where cursors.id > $1::uuid and ${isOfAnybody} and (
      cursors.position < least(workspaces.first_sequence - 1, cursors.end_sequence)
      or cursors.lost_count > 0 and ${isDue})
    order by cursors.id limit $2::int`,
};

/**
 * Takes the cursor `$1` past what retention has taken from before it. Returns where it is then, and what was lost since
 * that was last told where it is to be told now; no row where nothing was lost.
 */
export const skipLostStatement: Statement = {
  name: 'harbor_webhooks_skip_lost',
  text: `
    with held as materialized (
      select cursors.id, cursors.workspace_id, cursors.position as was,
        greatest(cursors.position, least(workspaces.first_sequence - 1, cursors.end_sequence)) as goal,
        cursors.lost_first, cursors.lost_last, cursors.lost_count, ${isDue} as is_due
      from webhook_cursors cursors join workspaces on workspaces.id = cursors.workspace_id
      where cursors.id = $1::uuid and cursors.state in ('running', 'paused')
      for no key update of cursors
    ),
    lost as materialized (
      select id, workspace_id, goal, is_due, coalesce(lost_first, was + 1) as first,
        case when goal > was then goal else lost_last end as last, lost_count + goal - was as count
      from held
    )
    update webhook_cursors set position = goal,
      lost_first = case when is_due then null else first end,
      lost_last = case when is_due then null else last end,
      lost_count = case when is_due then 0 else count end,
      lost_told_at = case when is_due then clock_timestamp() else lost_told_at end,
      ${stateAfter('goal', 'unfinished')}
    from lost join webhook_endpoints endpoints on endpoints.workspace_id = lost.workspace_id
    where webhook_cursors.id = lost.id and webhook_cursors.workspace_id = lost.workspace_id
      and endpoints.id = webhook_cursors.endpoint_id and lost.count > 0
    returning webhook_cursors.workspace_id, webhook_cursors.endpoint_id, endpoints.url,
      clock_timestamp()::text as at, kind, goal::float8 as position, is_due, first::float8 as first, last::float8 as last,
      lost.count::float8 as count`,
};
