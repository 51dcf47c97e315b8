import type { Statement } from '../../database/statements.ts';

/** An endpoint with how it fares; `$1` are ids, of those that are not deleted. */
export const readEndpointsStatement: Statement = {
  name: 'harbor_webhooks_read_endpoints',
  text: `
    select endpoints.id, endpoints.workspace_id, endpoints.url, endpoints.description, endpoints.type_patterns,
      endpoints.subject, endpoints.header_names, endpoints.max_in_flight, endpoints.max_per_second,
      endpoints.timeout_ms, endpoints.ordering, endpoints.status, endpoints.disabled_reason,
      endpoints.status_changed_at, endpoints.created_at, endpoints.updated_at, endpoints.api_key_id,
      cursors.position::float8 as position,
      greatest(0, workspaces.last_sequence - cursors.position)::float8 as lag,
      states.last_success_at, states.last_failure_at, states.circuit_open_until, (
        select created_at from events where events.workspace_id = endpoints.workspace_id and events.sequence = least(
          (select min(work.sequence) from webhook_work work where work.endpoint_id = endpoints.id),
          (select min(windows.sequences[1]) from webhook_windows windows
            where windows.endpoint_id = endpoints.id and windows.workspace_id = endpoints.workspace_id),
          case when cursors.position < workspaces.last_sequence
            then greatest(cursors.position + 1, workspaces.first_sequence) end)
      ) as oldest_undelivered_at
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

/**
 * Gives up what waits for an endpoint: its deliveries are cancelled. What is in flight ends as it does, and waits no more
 * when it fails. Locks the state before the work, and the cursors after it, as deliveries do.
 */
export const cancelWorkStatement: Statement = {
  name: 'harbor_webhooks_cancel_work',
  text: `
    with state as materialized (
      select endpoint_id, workspace_id from webhook_states
      where endpoint_id = $1 and workspace_id = $2 for no key update
    ),
    gone as (
      delete from webhook_work work using state where work.endpoint_id = state.endpoint_id
        and work.workspace_id = state.workspace_id
      returning work.cursor_id, work.in_flight
    ),
    noted as (
      update webhook_states set next_work_at = null, in_flight = greatest(0, in_flight - (
        select count(*) from gone where gone.in_flight)::int)
      from state where webhook_states.endpoint_id = state.endpoint_id
        and webhook_states.workspace_id = state.workspace_id
    )
    update webhook_cursors set unfinished = greatest(0, unfinished - counted.gone::int)
    from (select cursor_id, count(*) as gone from gone group by cursor_id) as counted
    where webhook_cursors.id = counted.cursor_id and webhook_cursors.workspace_id = $2`,
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
