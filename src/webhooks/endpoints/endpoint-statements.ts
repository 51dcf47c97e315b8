import type { Statement } from '../../database/statements.ts';
import { parkedMax, stateAfter, unfinishedMax } from '../delivery/room-statements.ts';
import { selectMs } from '../row-time.ts';

const endpointTimes = [
  selectMs('endpoints.status_changed_at', 'status_changed_at'),
  selectMs('endpoints.created_at', 'created_at'),
  selectMs('endpoints.updated_at', 'updated_at'),
  selectMs('states.last_success_at', 'last_success_at'),
  selectMs('states.last_failure_at', 'last_failure_at'),
  selectMs('states.circuit_open_until', 'circuit_open_until'),
].join(', ');

/** Why the live cursor of an enabled endpoint takes up nothing new. */
const standingReason = `case when endpoints.status <> 'enabled' then null
        when states.hold_until > clock_timestamp() then 'held'
        when states.circuit_open_until is not null then 'failing'
        when cursors.parked >= ${parkedMax} then 'parked'
        when cursors.unfinished - cursors.parked >= ${unfinishedMax} then 'unfinished' end`;

/** An endpoint with how it fares; `$1` are ids, of those that are not deleted. */
export const readEndpointsStatement: Statement = {
  name: 'harbor_webhooks_read_endpoints',
  text: `
    select endpoints.id, endpoints.workspace_id, endpoints.url, endpoints.description, endpoints.type_patterns,
      endpoints.subject, endpoints.header_names, endpoints.max_in_flight, endpoints.max_per_second,
      endpoints.timeout_ms, endpoints.ordering, endpoints.status, endpoints.disabled_reason,
      ${endpointTimes}, endpoints.api_key_id, cursors.position::float8 as position,
      greatest(0, workspaces.last_sequence - cursors.position)::float8 as lag, ${standingReason} as standing_reason,
      ${selectMs(
        `(
        select created_at from events where events.workspace_id = endpoints.workspace_id and events.sequence = least(
          (select min(work.sequence) from webhook_work work where work.endpoint_id = endpoints.id),
          (select min(windows.sequences[1]) from webhook_windows windows
            where windows.endpoint_id = endpoints.id and windows.workspace_id = endpoints.workspace_id),
          case when cursors.position < workspaces.last_sequence
            then greatest(cursors.position + 1, workspaces.first_sequence) end))`,
        'oldest_undelivered_at',
      )}
    from unnest($1::uuid[]) as asked (id)
    join webhook_endpoints endpoints on endpoints.id = asked.id and endpoints.deleted_at is null
    join webhook_cursors cursors
      on cursors.id = endpoints.id and cursors.workspace_id = endpoints.workspace_id
    join webhook_states states
      on states.endpoint_id = endpoints.id and states.workspace_id = endpoints.workspace_id
    join workspaces on workspaces.id = endpoints.workspace_id and workspaces.deleted_at is null
    order by endpoints.id desc`,
};

/** Ids and type patterns of the endpoints of `$1`, the newest first, before `$2`; `$3` at the most. */
export const listEndpointsStatement: Statement = {
  name: 'harbor_webhooks_list_endpoints',
  text: `
    select id, type_patterns from webhook_endpoints
    where workspace_id = $1 and id < $2::uuid and deleted_at is null order by id desc limit $3::int`,
};

/** Begins what an endpoint `$1` of `$2` needs: its state, and its cursor after `$3`, with `$4` a second until it has caught up. */
export const beginEndpointStatement: Statement = {
  name: 'harbor_webhooks_begin_endpoint',
  text: `
    with state as (
      insert into webhook_states (endpoint_id, workspace_id) values ($1, $2)
    )
    insert into webhook_cursors (id, workspace_id, endpoint_id, kind, state, position, first_sequence, type_patterns,
      max_per_second, created_at)
    values ($1, $2, $1, 'live', 'running', $3, $3::bigint + 1, '{}', $4, clock_timestamp())`,
};

/** Forgets what was held against an endpoint: it begins afresh, with all that waits. */
export const restartEndpointStatement: Statement = {
  name: 'harbor_webhooks_restart_endpoint',
  text: `
    update webhook_states set failures = 0, failing_since = null, circuit_open_until = null, circuit_wait_ms = 0,
      hold_until = null, told_failing_at = null, next_work_at = clock_timestamp()
    where endpoint_id = $1 and workspace_id = $2`,
};

/** Locks what waits for the endpoint `$1` of `$2`: the first of the locks that whoever cancels it takes. */
export const lockWorkStatement: Statement = {
  name: 'harbor_webhooks_lock_work',
  text: lockWork('true'),
};

/** As `lockWorkStatement`, of the replay `$3` alone. */
export const lockReplayWorkStatement: Statement = {
  name: 'harbor_webhooks_lock_replay_work',
  text: lockWork('cursor_id = $3::uuid and not is_manual'),
};

function lockWork(which: string): string {
  return `
    select from webhook_work where endpoint_id = $1::uuid and workspace_id = $2 and ${which}
    order by window_id, place for update`;
}

/**
 * Gives up what waits for an endpoint: its deliveries are cancelled, and their late results are not recorded. What is in
 * flight for the first time ends as it does. For the transaction that has locked the work, the endpoint and its cursors: what was
 * parked behind that work until then is seen, and goes too.
 */
export const cancelWorkStatement: Statement = {
  name: 'harbor_webhooks_cancel_work',
  text: cancelWork('true'),
};

/** As `cancelWorkStatement`, of the replay `$3` alone; what was asked for by hand stays. */
export const cancelReplayWorkStatement: Statement = {
  name: 'harbor_webhooks_cancel_replay_work',
  text: cancelWork('cursor_id = $3::uuid and not is_manual'),
};

function cancelWork(which: string): string {
  return `
    with work as materialized (
      select window_id, place, workspace_id, cursor_id, in_flight, is_manual, due_at = 'infinity' as is_parked
      from webhook_work where endpoint_id = $1::uuid and workspace_id = $2 and ${which}
      order by window_id, place for update
    ),
    gone as (
      delete from webhook_work using work where webhook_work.window_id = work.window_id
        and webhook_work.place = work.place and webhook_work.workspace_id = work.workspace_id
    ),
    noted as (
      update webhook_states set in_flight = greatest(0, in_flight - (
        select count(*) from work where work.in_flight)::int)
      where endpoint_id = $1::uuid and workspace_id = $2
    )
    update webhook_cursors set unfinished = greatest(0, webhook_cursors.unfinished - counted.unfinished::int),
      parked = greatest(0, webhook_cursors.parked - counted.parked::int)
    from (
      select cursor_id, count(*) filter (where not is_manual) as unfinished, count(*) filter (where is_parked) as parked
      from work group by cursor_id order by cursor_id
    ) as counted
    where webhook_cursors.id = counted.cursor_id and webhook_cursors.workspace_id = $2`;
}

/** Ends replays of an endpoint that have gone through their range and have nothing left, as what waited of them was cancelled. */
export const endReplaysStatement: Statement = {
  name: 'harbor_webhooks_end_replays',
  text: `
    update webhook_cursors set ${stateAfter('position', 'unfinished')}
    where endpoint_id = $1 and workspace_id = $2 and kind = 'replay' and state = 'running'
      and position >= end_sequence and unfinished <= 0`,
};

/** Moves the live cursor of an endpoint to the end of the log: what lies between is not sent. */
export const skipToEndStatement: Statement = {
  name: 'harbor_webhooks_skip_to_end',
  text: `
    update webhook_cursors set position = greatest(position, workspaces.last_sequence)
    from workspaces where workspaces.id = webhook_cursors.workspace_id
      and webhook_cursors.id = $1 and webhook_cursors.workspace_id = $2`,
};

/** Ends the cursors of an endpoint that is deleted, its replays among them. */
export const endCursorsStatement: Statement = {
  name: 'harbor_webhooks_end_cursors',
  text: `
    update webhook_cursors set state = 'cancelled', ended_at = clock_timestamp()
    where endpoint_id = $1 and workspace_id = $2 and state in ('running', 'paused')`,
};

/** Says that something about an endpoint has changed, by the time at which it did; no row where its workspace was deleted. */
export const touchStatement: Statement = {
  name: 'harbor_webhooks_touch',
  text: `
    update webhook_endpoints set touched_at = clock_timestamp() where id = $1::uuid
      and exists (select from workspaces where id = workspace_id and deleted_at is null)
    returning (extract(epoch from touched_at) * 1000)::float8 as now_ms`,
};

/** Holds the endpoints of a workspace until the transaction ends, so that two creates do not both find room. */
export const holdEndpointsStatement: Statement = {
  name: 'harbor_webhooks_hold_endpoints',
  text: `select pg_advisory_xact_lock(hashtextextended('webhook endpoints of ' || $1, 0))`,
};

export const countEndpointsStatement: Statement = {
  name: 'harbor_webhooks_count_endpoints',
  text: `
    select count(*)::float8 as count from webhook_endpoints where workspace_id = $1 and deleted_at is null`,
};
