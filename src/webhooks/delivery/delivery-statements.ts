import type { Statement } from '../../database/statements.ts';

/*
 * Locks are taken in one order everywhere: windows or work, then the states of endpoints, then cursors, each by id. A
 * move and a claim skip states that are locked and wait for none, so that one endpoint delays no other.
 */

/** Deliveries of one cursor that have not ended; beyond it the cursor stands. */
export const unfinishedMax = 1_000;

/** Whether requests may begin at an endpoint, of `states` joined with `endpoints`. */
const isOpen = `endpoints.status = 'enabled' and endpoints.deleted_at is null
  and states.failures < $2::int and states.circuit_open_until is null
  and (states.hold_until is null or states.hold_until <= clock_timestamp())`;

/** How many tokens a bucket holds by now, a second's worth at the most; many where there is no limit. */
function tokensOf(rate: string, table: string): string {
  return `case when ${rate} is null then 1e9 else least(${rate}::float8, ${table}.tokens
    + ${rate} * extract(epoch from clock_timestamp() - greatest(${table}.tokens_at, clock_timestamp() - interval '1 second'))) end`;
}

/**
 * Moves cursors and writes down what they have found as windows in flight, leased for `$1` ms, in one commit: each
 * match becomes exactly one delivery of its cursor, whatever crashes. `$2` is how many failures in a row close an endpoint.
 *
 * Takes arrays, an endpoint at most once: cursors, workspaces, endpoints, the position where each is expected, the
 * sequence up to which the log was scanned (committed before this statement began), the matches as array literals, ids
 * for the windows. Of the matches as many are taken as the endpoint has room for, over all processes. Returns a row for
 * each cursor that was where it was expected, runs and whose endpoint nobody else was at work on; others are to be read
 * again.
 */
export const moveStatement: Statement = {
  name: 'harbor_webhooks_move',
  text: `
    with asked as materialized (
      select asked.*, asked.matches::bigint[] as found from unnest(
        $3::uuid[], $4::text[], $5::uuid[], $6::bigint[], $7::bigint[], $8::text[], $9::uuid[])
        as asked (cursor_id, workspace_id, endpoint_id, expected, scanned, matches, window_id)
    ),
    states as materialized (
      select states.endpoint_id, states.workspace_id, endpoints.max_per_second,
        endpoints.max_in_flight - states.in_flight as free,
        ${tokensOf('endpoints.max_per_second', 'states')} as tokens
      from asked join webhook_states states
        on states.endpoint_id = asked.endpoint_id and states.workspace_id = asked.workspace_id
      join webhook_endpoints endpoints
        on endpoints.id = states.endpoint_id and endpoints.workspace_id = states.workspace_id
      where ${isOpen}
      order by states.endpoint_id for no key update of states skip locked
    ),
    cursors as materialized (
      select cursors.id, cursors.workspace_id, cursors.endpoint_id, cursors.previous_sequence,
        cursors.max_per_second, ${unfinishedMax} - cursors.unfinished as free,
        ${tokensOf('cursors.max_per_second', 'cursors')} as tokens
      from asked join states on states.endpoint_id = asked.endpoint_id
      join webhook_cursors cursors
        on cursors.id = asked.cursor_id and cursors.workspace_id = asked.workspace_id
      where cursors.position = asked.expected and cursors.state = 'running'
      order by cursors.id for no key update of cursors
    ),
    counted as materialized (
      select asked.*, cursors.previous_sequence, cardinality(asked.found) as total,
        floor(greatest(0, least(cardinality(asked.found), cursors.free, states.free, cursors.tokens,
          states.tokens)))::int as taken
      from asked join cursors on cursors.id = asked.cursor_id
      join states on states.endpoint_id = asked.endpoint_id
    ),
    moved as materialized (
      select counted.*, case when taken = total then scanned else found[taken + 1] - 1 end as position
      from counted
    ),
    used as (
      update webhook_states set in_flight = in_flight + moved.taken,
        tokens = states.tokens - moved.taken, tokens_at = clock_timestamp()
      from moved join states on states.endpoint_id = moved.endpoint_id
      where webhook_states.endpoint_id = moved.endpoint_id
        and webhook_states.workspace_id = moved.workspace_id and moved.taken > 0
    ),
    placed as (
      update webhook_cursors set position = moved.position, unfinished = unfinished + moved.taken,
        tokens = cursors.tokens - moved.taken, tokens_at = clock_timestamp(),
        previous_sequence = case when moved.taken = 0 then webhook_cursors.previous_sequence
          else moved.found[moved.taken] end
      from moved join cursors on cursors.id = moved.cursor_id
      where webhook_cursors.id = moved.cursor_id
        and webhook_cursors.workspace_id = moved.workspace_id and moved.position > moved.expected
    ),
    opened as (
      insert into webhook_windows (id, workspace_id, cursor_id, endpoint_id, sequences,
        previous_sequence, fence, leased_until, remaining)
      select window_id, workspace_id, cursor_id, endpoint_id, found[1:taken], previous_sequence, 1,
        clock_timestamp() + $1::float8 * interval '1 millisecond', taken
      from moved where taken > 0
    )
    select cursor_id, window_id, taken, previous_sequence::float8 as previous_sequence,
      position::float8 as position, total > taken as is_limited
    from moved`,
};

/** Of one result and its delivery; see `recordStatement`. */
const resultColumns = `window_id, place, fence, workspace_id, cursor_id, endpoint_id, event_id, subject, sequence,
  previous_sequence, attempt, tries, started_at, duration_ms, status, error, response, outcome, after_ms, hold_ms`;

const results = `
    results as materialized (
      select * from unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[],
        $8::text[], $9::bigint[], $10::bigint[], $11::int[], $12::int[], $13::timestamptz[], $14::int[],
        $15::int[], $16::text[], $17::bytea[], $18::text[], $19::float8[], $20::float8[])
        as results (${resultColumns})
    )`;

/** Writes down requests of deliveries in `held`; one that is there already is not counted again. */
const attempted = `
    attempted as (
      insert into webhook_attempts (window_id, place, attempt, workspace_id, cursor_id, endpoint_id, event_id,
        sequence, previous_sequence, started_at, duration_ms, status, error, response, outcome)
      select results.window_id, results.place, results.attempt, results.workspace_id, results.cursor_id,
        results.endpoint_id, results.event_id, results.sequence, results.previous_sequence, results.started_at,
        results.duration_ms, results.status, results.error, results.response, results.outcome
      from held join results using (window_id, place)
      on conflict do nothing
      returning window_id, place, workspace_id, cursor_id, endpoint_id, outcome, started_at, duration_ms
    )`;

/**
 * What requests mean for their endpoints and cursors. The circuit: `$21` failures in a row over `$22` ms close it, for
 * `$23` ms at first, and after each probe that fails for twice as long, `$24` ms at the most.
 */
const consequences = `
    by_endpoint as materialized (
      select endpoint_id, workspace_id, count(*) as ended,
        max(started_at + duration_ms * interval '1 millisecond') filter (where outcome = 'succeeded') as succeeded_at,
        max(started_at + duration_ms * interval '1 millisecond') filter (where outcome <> 'succeeded') as failed_at,
        min(started_at) filter (where outcome <> 'succeeded') as first_failed_at,
        count(*) filter (where outcome <> 'succeeded') as failures
      from attempted group by endpoint_id, workspace_id
    ),
    failed_after as materialized (
      select attempted.endpoint_id, count(*) as failures, min(attempted.started_at) as since
      from attempted join by_endpoint using (endpoint_id)
      where outcome <> 'succeeded' and (succeeded_at is null
        or attempted.started_at + attempted.duration_ms * interval '1 millisecond' > succeeded_at)
      group by attempted.endpoint_id
    ),
    due as materialized (
      select results.endpoint_id, min(results.after_ms) as after_ms, max(results.hold_ms) as hold_ms
      from attempted join results using (window_id, place) where results.outcome = 'retry'
      group by results.endpoint_id
    ),
    states as materialized (
      select states.*, by_endpoint.ended, by_endpoint.succeeded_at, by_endpoint.failed_at,
        case when by_endpoint.succeeded_at is null then states.failures else 0 end
          + coalesce(failed_after.failures, 0) as now_failures,
        case when coalesce(failed_after.failures, 0) = 0 and by_endpoint.succeeded_at is not null then null
          when by_endpoint.succeeded_at is not null then failed_after.since
          else coalesce(states.failing_since, failed_after.since) end as now_failing_since,
        due.after_ms, due.hold_ms
      from by_endpoint join webhook_states states using (endpoint_id, workspace_id)
      left join failed_after using (endpoint_id) left join due using (endpoint_id)
      order by states.endpoint_id for no key update of states
    ),
    judged as materialized (
      select states.*, now_failures >= $21::int
        and clock_timestamp() - now_failing_since >= $22::float8 * interval '1 millisecond' as is_closed
      from states
    ),
    noted as (
      update webhook_states set
        in_flight = greatest(0, webhook_states.in_flight - judged.ended::int),
        failures = judged.now_failures, failing_since = judged.now_failing_since,
        last_success_at = greatest(webhook_states.last_success_at, judged.succeeded_at),
        last_failure_at = greatest(webhook_states.last_failure_at, judged.failed_at),
        circuit_wait_ms = case when not judged.is_closed then 0
          when webhook_states.circuit_wait_ms = 0 then $23::int
          else least(webhook_states.circuit_wait_ms * 2, $24::int) end,
        circuit_open_until = case when not judged.is_closed then null
          else clock_timestamp() + case when webhook_states.circuit_wait_ms = 0 then $23::int
            else least(webhook_states.circuit_wait_ms * 2, $24::int) end * interval '1 millisecond' end,
        hold_until = greatest(webhook_states.hold_until,
          clock_timestamp() + judged.hold_ms * interval '1 millisecond'),
        -- What waited behind a closed circuit is due as soon as that is open.
        next_work_at = least(webhook_states.next_work_at,
          clock_timestamp() + judged.after_ms * interval '1 millisecond',
          case when webhook_states.circuit_open_until is not null and not judged.is_closed
            then clock_timestamp() end)
      from judged where webhook_states.endpoint_id = judged.endpoint_id
        and webhook_states.workspace_id = judged.workspace_id
      returning webhook_states.endpoint_id, webhook_states.failures,
        (extract(epoch from webhook_states.failing_since) * 1000)::float8 as failing_since_ms,
        webhook_states.circuit_open_until is not null as is_closed
    ),
    by_cursor as materialized (
      select cursor_id, workspace_id, count(*) filter (where outcome = 'succeeded') as succeeded,
        count(*) filter (where outcome = 'failed') as failed
      from attempted group by cursor_id, workspace_id
    ),
    cursors as materialized (
      select by_cursor.* from by_cursor join webhook_cursors cursors
        on cursors.id = by_cursor.cursor_id and cursors.workspace_id = by_cursor.workspace_id
      where by_cursor.succeeded + by_cursor.failed > 0 order by cursors.id for no key update of cursors
    ),
    finished as (
      update webhook_cursors set unfinished = unfinished - (cursors.succeeded + cursors.failed)::int,
        succeeded = webhook_cursors.succeeded + cursors.succeeded,
        failed = webhook_cursors.failed + cursors.failed
      from cursors where webhook_cursors.id = cursors.cursor_id
        and webhook_cursors.workspace_id = cursors.workspace_id
    )
    select attempted.window_id, attempted.place, noted.endpoint_id, noted.failures, noted.failing_since_ms,
      noted.is_closed
    from attempted join noted using (endpoint_id)`;

/**
 * Records requests of windows in flight, in one commit with what follows from them: a row for each, work for what is to
 * be tried again, and the window goes when it has nothing left. Returns a row for each that was recorded; of a window that
 * somebody else has taken over since (its fence is higher) none is.
 */
export const recordWindowsStatement: Statement = {
  name: 'harbor_webhooks_record_windows',
  text: `
    with ${results},
    windows as materialized (
      select windows.id, windows.workspace_id, windows.remaining, windows.fence
      from webhook_windows windows
      where windows.id in (select window_id from results) order by windows.id for no key update
    ),
    held as materialized (
      select results.window_id, results.place from results
      join windows on windows.id = results.window_id and windows.fence = results.fence
    ),
    ${attempted},
    counted as materialized (
      select window_id, workspace_id, count(*)::int as ended from attempted group by window_id, workspace_id
    ),
    closed as (
      delete from webhook_windows using counted join windows on windows.id = counted.window_id
      where webhook_windows.id = counted.window_id and webhook_windows.workspace_id = counted.workspace_id
        and windows.remaining <= counted.ended
    ),
    lessened as (
      update webhook_windows set remaining = webhook_windows.remaining - counted.ended
      from counted join windows on windows.id = counted.window_id
      where webhook_windows.id = counted.window_id and webhook_windows.workspace_id = counted.workspace_id
        and windows.remaining > counted.ended
    ),
    put_off as (
      insert into webhook_work (window_id, place, workspace_id, cursor_id, endpoint_id, event_id, subject, sequence,
        previous_sequence, attempts, tries, fence, in_flight, due_at)
      select results.window_id, results.place, results.workspace_id, results.cursor_id, results.endpoint_id,
        results.event_id, results.subject, results.sequence, results.previous_sequence, results.attempt,
        results.tries + 1, 0, false, clock_timestamp() + results.after_ms * interval '1 millisecond'
      from attempted join results using (window_id, place) where results.outcome = 'retry'
    ),
    ${consequences}`,
};

/** As `recordWindowsStatement`, of deliveries that were claimed from the work: their rows go, or wait again. */
export const recordWorkStatement: Statement = {
  name: 'harbor_webhooks_record_work',
  text: `
    with ${results},
    work as materialized (
      select work.window_id, work.place, work.fence from webhook_work work
      join results using (window_id, place)
      order by work.window_id, work.place for no key update of work
    ),
    held as materialized (
      select results.window_id, results.place from results join work using (window_id, place)
      where work.fence = results.fence
    ),
    ${attempted},
    ended as (
      delete from webhook_work using attempted where webhook_work.window_id = attempted.window_id
        and webhook_work.place = attempted.place and attempted.outcome <> 'retry'
    ),
    put_off as (
      update webhook_work set attempts = results.attempt, tries = results.tries + 1, in_flight = false,
        due_at = clock_timestamp() + results.after_ms * interval '1 millisecond'
      from attempted join results using (window_id, place)
      where webhook_work.window_id = results.window_id and webhook_work.place = results.place
        and results.outcome = 'retry'
    ),
    ${consequences}`,
};

/**
 * Leases windows whose lease has run out, `$2` of them, for `$1` ms, to whoever asks: their sender has died, or was
 * frozen. Its late results meet a higher fence.
 */
export const takeUpStatement: Statement = {
  name: 'harbor_webhooks_take_up',
  text: `
    with expired as materialized (
      select id, workspace_id from webhook_windows where leased_until < clock_timestamp()
      order by id limit $2::int for update skip locked
    )
    update webhook_windows windows set fence = fence + 1,
      leased_until = clock_timestamp() + $1::float8 * interval '1 millisecond'
    from expired where windows.id = expired.id and windows.workspace_id = expired.workspace_id
    returning windows.id as window_id, windows.workspace_id, windows.cursor_id, windows.endpoint_id,
      windows.sequences::float8[] as sequences, windows.previous_sequence::float8 as previous_sequence,
      windows.fence, array(
        select place from webhook_attempts attempts where attempts.window_id = windows.id
      ) as places_done`,
};

/** Leases windows on for `$1` ms, and returns those that are still held: ids and fences in `$2` and `$3`. */
export const renewStatement: Statement = {
  name: 'harbor_webhooks_renew',
  text: `
    with held as materialized (
      select windows.id, windows.workspace_id
      from unnest($2::uuid[], $3::int[]) as held (id, fence)
      join webhook_windows windows on windows.id = held.id and windows.fence = held.fence
      order by windows.id for no key update of windows
    )
    update webhook_windows windows set
      leased_until = clock_timestamp() + $1::float8 * interval '1 millisecond'
    from held where windows.id = held.id and windows.workspace_id = held.workspace_id
    returning windows.id`,
};

/**
 * Claims deliveries that are due at the endpoints in `$2`, `$3` at the most of each, leased for `$1` ms: as many as the
 * endpoint has room for, and one alone where its circuit is closed, as a probe. An endpoint that somebody else is at work on
 * is left out. The oldest due goes first.
 */
export const claimWorkStatement: Statement = {
  name: 'harbor_webhooks_claim_work',
  text: `
    with states as materialized (
      select states.endpoint_id, states.workspace_id, states.circuit_open_until is not null as is_probe,
        ${tokensOf('endpoints.max_per_second', 'states')} as tokens,
        case when states.circuit_open_until > clock_timestamp() or states.hold_until > clock_timestamp()
          or endpoints.status <> 'enabled' or endpoints.deleted_at is not null then 0
        when states.circuit_open_until is not null then least(1, endpoints.max_in_flight - states.in_flight)
        else endpoints.max_in_flight - states.in_flight end as free,
        greatest(states.circuit_open_until, states.hold_until) as closed_until,
        endpoints.status = 'enabled' as is_enabled
      from webhook_states states join webhook_endpoints endpoints
        on endpoints.id = states.endpoint_id and endpoints.workspace_id = states.workspace_id
      where states.endpoint_id = any($2::uuid[])
      order by states.endpoint_id for no key update of states skip locked
    ),
    due as materialized (
      select work.* from states cross join lateral (
        select * from webhook_work where webhook_work.endpoint_id = states.endpoint_id
          and due_at <= clock_timestamp()
        order by due_at limit floor(greatest(0, least(states.free, states.tokens, $3::int)))::int
        for update skip locked
      ) as work
    ),
    claimed as (
      update webhook_work set fence = webhook_work.fence + 1, in_flight = true,
        due_at = clock_timestamp() + $1::float8 * interval '1 millisecond'
      from due where webhook_work.window_id = due.window_id and webhook_work.place = due.place
        and webhook_work.workspace_id = due.workspace_id
      returning webhook_work.*, due.in_flight as was_in_flight
    ),
    counted as (
      select states.endpoint_id, states.workspace_id, states.is_probe, states.tokens, states.is_enabled,
        states.closed_until,
        count(claimed.place) as taken, count(claimed.place) filter (where not was_in_flight) as fresh
      from states left join claimed on claimed.endpoint_id = states.endpoint_id
      group by states.endpoint_id, states.workspace_id, states.is_probe, states.tokens, states.is_enabled,
        states.closed_until
    ),
    noted as (
      update webhook_states set in_flight = in_flight + counted.fresh::int,
        tokens = counted.tokens - counted.taken, tokens_at = clock_timestamp(),
        circuit_open_until = case when counted.is_probe and counted.taken > 0
          then clock_timestamp() + $1::float8 * interval '1 millisecond' else circuit_open_until end,
        next_work_at = case when not counted.is_enabled then null else greatest(counted.closed_until, (
          select min(due_at) from (
            select due_at from webhook_work where webhook_work.endpoint_id = counted.endpoint_id
              and not exists (select from due where due.window_id = webhook_work.window_id
                and due.place = webhook_work.place)
            order by due_at limit 1) as next),
          case when counted.taken > 0 then clock_timestamp() + interval '100 milliseconds' end) end
      from counted where webhook_states.endpoint_id = counted.endpoint_id
        and webhook_states.workspace_id = counted.workspace_id
    )
    select window_id, place, workspace_id, cursor_id, endpoint_id, event_id, subject, sequence::float8 as sequence,
      previous_sequence::float8 as previous_sequence, attempts, tries, fence
    from claimed`,
};

/**
 * One look a second: how far the logs of the workspaces in `$1` have grown, which endpoints have work that is due (`$2` at
 * the most), whether windows have expired, and which endpoints have changed since `$3`.
 */
export const lookStatement: Statement = {
  name: 'harbor_webhooks_look',
  text: `
    select 'log' as kind, id as workspace_id, null::uuid as endpoint_id, last_sequence::float8 as last_sequence
    from workspaces where id = any($1::text[]) and deleted_at is null
    union all
    (select 'due', workspace_id, endpoint_id, null from webhook_states
      where next_work_at <= clock_timestamp() order by next_work_at limit $2::int)
    union all
    (select 'expired', null, null, null from webhook_windows where leased_until < clock_timestamp() limit 1)
    union all
    select 'changed', workspace_id, id, null from webhook_endpoints where touched_at >= $3::timestamptz`,
};
