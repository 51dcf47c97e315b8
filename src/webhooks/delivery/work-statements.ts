import type { Statement } from '../../database/statements.ts';
import {
  isFull,
  leaseOf,
  onTheirWay,
  opensInMs,
  roomForWork,
  tokensOf,
  tokenWaitOf,
} from './room-statements.ts';

/**
 * Claims deliveries that are due at the endpoints in `$2`, `$3` at the most of each, the oldest first, leased for `$1` ms: as
 * many as the endpoint has room for, one alone where its circuit is open, as a probe. An endpoint that somebody else is at work
 * on is left out. What belongs to a cancelled replay or a deleted endpoint goes; what belongs to a paused one is looked at
 * again in a minute.
 *
 * Returns what was claimed, and a row without a delivery for each endpoint: in how many milliseconds there is more to
 * claim, null for never.
 */
export const claimWorkStatement: Statement = {
  name: 'harbor_webhooks_claim_work',
  text: `
    with seen as materialized (
      select endpoint_id, workspace_id, xmin from webhook_states where endpoint_id = any($2::uuid[])
    ),
    states as materialized (
      select states.endpoint_id, states.workspace_id, states.circuit_open_until is not null as is_probe,
        endpoints.max_per_second, ${tokensOf('endpoints.max_per_second', 'states')} as tokens,
        ${roomForWork} as room, ${isFull} as is_full, ${opensInMs} as opens_in_ms,
        endpoints.status = 'enabled' and endpoints.deleted_at is null as is_enabled,
        endpoints.deleted_at is not null as is_deleted
      from seen join webhook_states states on states.endpoint_id = seen.endpoint_id
        and states.workspace_id = seen.workspace_id and states.xmin = seen.xmin
      join webhook_endpoints endpoints
        on endpoints.id = states.endpoint_id and endpoints.workspace_id = states.workspace_id
      order by states.endpoint_id for no key update of states skip locked
    ),
    due as materialized (
      select work.*, case when work.is_manual then 'running' else coalesce(cursors.state, 'cancelled') end as cursor_state
      from states cross join lateral (
        select * from webhook_work where webhook_work.endpoint_id = states.endpoint_id
          and due_at <= statement_timestamp() and (in_flight or not states.is_full)
        order by due_at limit floor(least(states.room, greatest(0, states.tokens), $3::int))::int
        for update skip locked
      ) as work
      left join webhook_cursors cursors
        on cursors.id = work.cursor_id and cursors.workspace_id = work.workspace_id
    ),
    claimed as (
      update webhook_work set attempts = webhook_work.attempts + 1, in_flight = true, due_at = ${leaseOf('$1')}
      from due where webhook_work.window_id = due.window_id and webhook_work.place = due.place
        and webhook_work.workspace_id = due.workspace_id and due.cursor_state not in ('paused', 'cancelled')
      returning webhook_work.*, due.in_flight as was_in_flight
    ),
    put_off as (
      update webhook_work set in_flight = false, due_at = clock_timestamp() + interval '1 minute'
      from due where webhook_work.window_id = due.window_id and webhook_work.place = due.place
        and webhook_work.workspace_id = due.workspace_id and due.cursor_state = 'paused'
    ),
    dropped as (
      delete from webhook_work using (
        select distinct endpoint_id, cursor_id from due where cursor_state = 'cancelled'
        union all
        select endpoint_id, null from states where is_deleted
      ) as over
      where webhook_work.endpoint_id = over.endpoint_id
        and (over.cursor_id is null or webhook_work.cursor_id = over.cursor_id and not webhook_work.is_manual)
        and not (webhook_work.in_flight and webhook_work.due_at > statement_timestamp())
      returning webhook_work.endpoint_id, webhook_work.cursor_id, webhook_work.window_id, webhook_work.place,
        webhook_work.in_flight
    ),
    uncounted as (
      update webhook_cursors set unfinished = greatest(0, unfinished - counts.count), parked = 0
      from (select cursor_id, count(*)::int as count from dropped group by cursor_id) as counts
      where webhook_cursors.id = counts.cursor_id
    ),
    counted as materialized (
      select states.*, (select count(*) from claimed where claimed.endpoint_id = states.endpoint_id)::int as taken,
        (select count(*) from claimed where claimed.endpoint_id = states.endpoint_id and not was_in_flight)
          - (select count(*) from due where due.endpoint_id = states.endpoint_id and in_flight and cursor_state = 'paused')
          - (select count(*) from dropped where dropped.endpoint_id = states.endpoint_id and in_flight) as more_in_flight,
        (select nullif(min(due_at), 'infinity') from (
          select due_at from webhook_work where webhook_work.endpoint_id = states.endpoint_id
            and not exists (select from due where due.window_id = webhook_work.window_id
              and due.place = webhook_work.place)
          order by due_at limit 1) as rest) as rest_due_at,
        exists (select from due where due.endpoint_id = states.endpoint_id and cursor_state = 'paused') as has_paused
      from states
    ),
    next as materialized (
      select counted.*, least(rest_due_at,
          case when taken > 0 then ${leaseOf('$1')} end,
          case when has_paused then clock_timestamp() + interval '1 minute' end) as due_at,
        case when tokens - taken < 1 then clock_timestamp()
          + interval '1 millisecond' * ${tokenWaitOf('max_per_second', 'tokens - taken')} end as token_at
      from counted
    ),
    noted as (
      update webhook_states set in_flight = greatest(0, in_flight + next.more_in_flight::int),
        tokens = next.tokens - next.taken, tokens_at = clock_timestamp(),
        circuit_open_until = case when next.is_probe and next.taken > 0
          then ${leaseOf('$1')} else circuit_open_until end,
        next_work_at = case when next.is_enabled and next.due_at is not null then greatest(next.due_at, token_at,
          case when next.is_probe and next.taken > 0 then ${leaseOf('$1')} else circuit_open_until end,
          hold_until) end
      from next where webhook_states.endpoint_id = next.endpoint_id
        and webhook_states.workspace_id = next.workspace_id
      returning webhook_states.endpoint_id,
        (extract(epoch from next_work_at - clock_timestamp()) * 1000)::float8 as next_ms, next.is_probe
    )
    select claimed.window_id, claimed.place, claimed.workspace_id, claimed.cursor_id, claimed.endpoint_id,
      claimed.event_id, claimed.lane, claimed.sequence::float8 as sequence,
      claimed.previous_sequence::float8 as previous_sequence, claimed.attempts, claimed.tries,
      states.is_probe, null::float8 as next_ms
    from claimed join states on states.endpoint_id = claimed.endpoint_id
    union all
    select null, null, null, null, endpoint_id, null, null, null, null, null, null, is_probe, next_ms from noted`,
};

/** Locks windows whose lease has run out, `$1` of them at the most, and names them; for a transaction. */
export const lockExpiredStatement: Statement = {
  name: 'harbor_webhooks_lock_expired',
  text: `
    select id, endpoint_id from webhook_windows where leased_until < statement_timestamp()
    order by id limit $1::int for update skip locked`,
};

/** As `lockExpiredStatement`, of the windows in `$1`, which whoever holds them leaves to others. */
export const lockWindowsStatement: Statement = {
  name: 'harbor_webhooks_lock_windows',
  text: `
    select id, endpoint_id from webhook_windows where id = any($1::uuid[]) order by id for update`,
};

/** Locks the endpoints in `$1` and all of their cursors, in the order in which everybody does. */
export const lockEndpointsStatement: Statement = {
  name: 'harbor_webhooks_lock_endpoints',
  text: `
    with states as materialized (
      select endpoint_id, workspace_id from webhook_states where endpoint_id = any($1::uuid[])
      order by endpoint_id for no key update
    )
    select cursors.id from states join webhook_cursors cursors using (endpoint_id, workspace_id)
    order by cursors.id for no key update of cursors`,
};

/**
 * Turns what was not recorded of the windows in `$1` into work that is due at once: their sender has died, was frozen, or
 * stops. Its late results find no window. What had become work before is not looked at: it waits, was sent, or was
 * cancelled. In a lane one after another comes. For the transaction that has locked the
 * windows, and their endpoints and cursors.
 */
export const giveUpWindowsStatement: Statement = {
  name: 'harbor_webhooks_give_up_windows',
  text: `
    with windows as materialized (
      delete from webhook_windows where id = any($1::uuid[]) returning *
    ),
    deliveries as (
      select windows.id as window_id, place::int - 1 as place, windows.workspace_id, windows.cursor_id,
        windows.endpoint_id, each.sequence,
        lag(each.sequence, 1, windows.previous_sequence)
          over (partition by windows.id order by place) as previous_sequence,
        coalesce(place - 1 = any(windows.waiting), false) as has_waited
      from windows cross join unnest(windows.sequences) with ordinality as each (sequence, place)
    ),
    rest as materialized (
      select deliveries.*, coalesce(events.id, '00000000-0000-0000-0000-000000000000') as event_id,
        case endpoints.ordering when 'workspace' then '' when 'subject' then events.subject end as lane
      from deliveries join webhook_endpoints endpoints
        on endpoints.id = deliveries.endpoint_id and endpoints.workspace_id = deliveries.workspace_id
      left join events
        on events.workspace_id = deliveries.workspace_id and events.sequence = deliveries.sequence
      where not deliveries.has_waited and not exists (select from webhook_attempts attempts
          where attempts.window_id = deliveries.window_id and attempts.place = deliveries.place)
        and not exists (select from webhook_work work
          where work.window_id = deliveries.window_id and work.place = deliveries.place)
    ),
    placed as materialized (
      select rest.*, lane is not null and (
        row_number() over (partition by cursor_id, lane order by sequence) > 1
        or exists (select from webhook_work work
          where work.cursor_id = rest.cursor_id and work.lane = rest.lane)) as is_parked
      from rest
    ),
    kept as (
      insert into webhook_work (window_id, place, workspace_id, cursor_id, endpoint_id, event_id, lane, sequence,
        previous_sequence, attempts, tries, due_at)
      select window_id, place, workspace_id, cursor_id, endpoint_id, event_id, lane, sequence, previous_sequence,
        1, 0, case when is_parked then 'infinity' else clock_timestamp() end
      from placed
    ),
    noted as (
      update webhook_states set in_flight = greatest(0, in_flight - counts.on_their_way),
        next_work_at = least(next_work_at, clock_timestamp())
      from (select endpoint_id, workspace_id, sum(${onTheirWay('remaining', 'width')})::int as on_their_way
        from windows
        group by endpoint_id, workspace_id) as counts
      where webhook_states.endpoint_id = counts.endpoint_id and webhook_states.workspace_id = counts.workspace_id
    ),
    counted as (
      update webhook_cursors set open_windows = open_windows - counts.windows,
        parked = parked + (select count(*)::int from placed
          where placed.cursor_id = counts.cursor_id and is_parked)
      from (select cursor_id, workspace_id, count(*)::int as windows from windows
        group by cursor_id, workspace_id) as counts
      where webhook_cursors.id = counts.cursor_id and webhook_cursors.workspace_id = counts.workspace_id
    )
    select distinct endpoint_id from windows`,
};

/**
 * One look a second: the time, how far the logs of the workspaces in `$1` reach and where they begin, which endpoints have
 * work that is due (`$2` at the most, without those in `$4`), whether leases of windows have run out, and which endpoints were
 * touched since `$3`.
 */
export const lookStatement: Statement = {
  name: 'harbor_webhooks_look',
  text: `
    select 'now' as kind, null as workspace_id, null::uuid as endpoint_id,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as number, null::float8 as floor
    union all
    select 'log', id, null, last_sequence, first_sequence
    from workspaces where id = any($1::text[]) and deleted_at is null
    union all
    (select 'due', states.workspace_id, states.endpoint_id, null, null from webhook_states states
      join workspaces on workspaces.id = states.workspace_id and workspaces.deleted_at is null
      where states.next_work_at <= statement_timestamp() and states.endpoint_id <> all($4::uuid[])
      order by states.next_work_at limit $2::int)
    union all
    (select 'expired', null, null, null, null from webhook_windows
      where leased_until < statement_timestamp() limit 1)
    union all
    select 'touched', workspace_id, id, (extract(epoch from touched_at) * 1000000)::float8, null
    from webhook_endpoints where touched_at >= $3::timestamptz`,
};

/**
 * Leaves claimed deliveries to whoever comes first: windows, places and numbers of attempts in `$1` to `$3`. What was claimed by
 * somebody else since stays.
 */
export const releaseWorkStatement: Statement = {
  name: 'harbor_webhooks_release_work',
  text: `
    with work as materialized (
      select work.window_id, work.place, work.workspace_id, work.endpoint_id
      from unnest($1::uuid[], $2::int[], $3::int[]) as held (window_id, place, attempt)
      join webhook_work work on work.window_id = held.window_id and work.place = held.place
        and work.attempts = held.attempt and work.in_flight
      order by work.window_id, work.place for no key update of work
    ),
    states as materialized (
      select endpoint_id, workspace_id from webhook_states
      where endpoint_id in (select endpoint_id from work) order by endpoint_id for no key update
    ),
    noted as (
      update webhook_states set next_work_at = least(next_work_at, clock_timestamp()) from states
      where webhook_states.endpoint_id = states.endpoint_id and webhook_states.workspace_id = states.workspace_id
    )
    update webhook_work set due_at = clock_timestamp() from work
    where webhook_work.window_id = work.window_id and webhook_work.place = work.place
      and webhook_work.workspace_id = work.workspace_id`,
};
