import type { Statement } from '../../database/statements.ts';
import { noLongerKept } from './delivery.ts';
import { onTheirWay, stateAfter } from './room-statements.ts';

const results = `
    results as materialized (
      select * from unnest($1::uuid[], $2::int[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[],
        $8::bigint[], $9::bigint[], $10::int[], $11::int[], $12::int[], $13::timestamptz[], $14::int[],
        $15::int[], $16::text[], $17::bytea[], $18::text[], $19::bigint[], $20::bigint[])
        as results (window_id, place, workspace_id, cursor_id, endpoint_id, event_id, lane, sequence,
          previous_sequence, attempt, tries, is_probe, started_at, duration_ms, status, error, response, outcome,
          after_ms, hold_ms)
    )`;

/**
 * Writes down the requests of `held`; what is there already is not counted again. Only what is not known of them then is
 * looked for in `notable`, which is short in good times: a join of both sides as they come is a nested loop.
 */
const attempted = `
    notable as materialized (
      select * from held where outcome in ('retry', 'failed', 'put off') or is_probe = 1
    ),
    attempted as (
      insert into webhook_attempts (window_id, place, attempt, workspace_id, cursor_id, endpoint_id, event_id,
        sequence, previous_sequence, started_at, duration_ms, status, error, response, outcome)
      select window_id, place, attempt, workspace_id, cursor_id, endpoint_id, event_id, sequence,
        previous_sequence, started_at, duration_ms, status, error, response, outcome
      from held where outcome not in ('parked', 'put off')
      on conflict do nothing
      returning window_id, place, attempt, workspace_id, cursor_id, endpoint_id, outcome, error, started_at,
        started_at + duration_ms * interval '1 millisecond' as ended_at
    )`;

/**
 * What requests mean for their endpoints and cursors; what was not sent, as its event is no longer kept, says nothing of an
 * endpoint, and another probe takes its turn. The circuit: `$21` failures in a row over `$22` ms close it for
 * `$23` ms, each probe that fails for twice as long, `$24` ms at the most. `settled` has the deliveries that are not in flight
 * any more, `left_flight` how many requests their endpoints have room for again; `counted` tells which of them their cursors count.
 */
const consequences = `
    requests as materialized (
      select attempted.endpoint_id, attempted.workspace_id, attempted.outcome = 'succeeded' as has_succeeded,
        attempted.started_at, attempted.ended_at, coalesce(notable.is_probe, 0) = 1 as is_probe, notable.hold_ms
      from attempted left join notable
        on notable.window_id = attempted.window_id and notable.place = attempted.place
      where attempted.error is distinct from '${noLongerKept}'
    ),
    by_endpoint as materialized (
      select endpoint_id, workspace_id, bool_or(is_probe) as has_probe,
        max(ended_at) filter (where has_succeeded) as succeeded_at,
        max(ended_at) filter (where not has_succeeded) as failed_at,
        max(hold_ms) as hold_ms
      from requests group by endpoint_id, workspace_id
    ),
    failed_since as materialized (
      select requests.endpoint_id, count(*) as failures, min(requests.started_at) as since
      from requests join by_endpoint using (endpoint_id)
      where not has_succeeded and (succeeded_at is null or ended_at > succeeded_at)
      group by requests.endpoint_id
    ),
    unsent as materialized (
      select endpoint_id, min(after_ms) as after_ms,
        coalesce(bool_or(is_probe = 1 and error = '${noLongerKept}'), false) as has_lost_probe
      from notable group by endpoint_id
    ),
    states as materialized (
      select states.endpoint_id, states.workspace_id, left_flight.count as left_flight, has_probe, succeeded_at, failed_at,
        unsent.after_ms, coalesce(unsent.has_lost_probe, false) as has_lost_probe, by_endpoint.hold_ms,
        states.circuit_open_until is not null as was_closed,
        case when succeeded_at is null then states.failures else 0 end
          + coalesce(failed_since.failures, 0) as failures,
        case when succeeded_at is null then coalesce(states.failing_since, failed_since.since)
          else failed_since.since end as failing_since
      from left_flight join webhook_states states using (endpoint_id, workspace_id)
      left join by_endpoint using (endpoint_id) left join failed_since using (endpoint_id)
      left join unsent using (endpoint_id)
      order by states.endpoint_id for no key update of states
    ),
    judged as materialized (
      select states.*, failures >= $21::int
          and clock_timestamp() - failing_since >= $22::float8 * interval '1 millisecond' as is_closed,
        clock_timestamp() as now
      from states
    ),
    noted as (
      update webhook_states set
        in_flight = greatest(0, in_flight - judged.left_flight),
        failures = judged.failures, failing_since = judged.failing_since,
        last_success_at = greatest(last_success_at, judged.succeeded_at),
        last_failure_at = greatest(last_failure_at, judged.failed_at),
        circuit_wait_ms = case when not judged.is_closed then 0
          when not judged.was_closed then $23::int
          when judged.has_probe then least(circuit_wait_ms * 2, $24::int) else circuit_wait_ms end,
        circuit_open_until = case when not judged.is_closed then null
          when not judged.was_closed then judged.now + $23::int * interval '1 millisecond'
          when judged.has_probe then judged.now + least(circuit_wait_ms * 2, $24::int) * interval '1 millisecond'
          when judged.has_lost_probe then judged.now
          else circuit_open_until end,
        hold_until = greatest(hold_until, judged.now + judged.hold_ms * interval '1 millisecond'),
        -- What waited behind a circuit is due as soon as that is closed again, or can be a probe.
        next_work_at = least(next_work_at, judged.now + judged.after_ms * interval '1 millisecond',
          case when judged.was_closed and (not judged.is_closed or judged.has_lost_probe) then judged.now end)
      from judged where webhook_states.endpoint_id = judged.endpoint_id
        and webhook_states.workspace_id = judged.workspace_id
      returning webhook_states.endpoint_id, webhook_states.failures,
        (extract(epoch from webhook_states.failing_since) * 1000)::float8 as failing_since_ms,
        (extract(epoch from judged.now) * 1000)::float8 as now_ms, told_failing_at is not null as is_told
    ),
    by_cursor as materialized (
      select cursor_id, workspace_id, count(*) filter (where outcome = 'succeeded')::int as succeeded,
        count(*) filter (where outcome = 'failed')::int as failed,
        count(*) filter (where outcome = 'parked')::int as parked
      from counted group by cursor_id, workspace_id
    ),
    cursors as materialized (
      select by_cursor.*, coalesce(closed_windows.count, 0) as closed
      from by_cursor join webhook_cursors cursors
        on cursors.id = by_cursor.cursor_id and cursors.workspace_id = by_cursor.workspace_id
      left join closed_windows on closed_windows.cursor_id = by_cursor.cursor_id
      where by_cursor.succeeded + by_cursor.failed + by_cursor.parked + coalesce(closed_windows.count, 0) > 0
      order by cursors.id for no key update of cursors
    ),
    finished as (
      update webhook_cursors set
        unfinished = unfinished - cursors.succeeded - cursors.failed,
        succeeded = webhook_cursors.succeeded + cursors.succeeded,
        failed = webhook_cursors.failed + cursors.failed,
        parked = webhook_cursors.parked + cursors.parked,
        open_windows = open_windows - cursors.closed,
        ${stateAfter('position', '(unfinished - cursors.succeeded - cursors.failed)')}
      from cursors where webhook_cursors.id = cursors.cursor_id
        and webhook_cursors.workspace_id = cursors.workspace_id
    )
    select settled.window_id, settled.place, settled.attempt, settled.endpoint_id, noted.failures, noted.failing_since_ms,
      noted.now_ms, noted.is_told
    from settled left join noted using (endpoint_id)`;

/**
 * Records what became of deliveries of windows in flight, in one commit with what follows: a row for each request, work
 * for what is to be tried again or waits in its lane, and the window goes when it has nothing left. Returns a row for each
 * that was recorded; of a window that somebody else has taken up since, and so is gone, none is.
 */
export const recordWindowsStatement: Statement = {
  name: 'harbor_webhooks_record_windows',
  text: `
    with ${results},
    windows as materialized (
      select id, remaining, width, waiting from webhook_windows
      where id in (select window_id from results) order by id for no key update
    ),
    held as materialized (
      select results.* from results join windows on windows.id = results.window_id
      -- When this runs again, what became work may have been sent by then, or cancelled: its work is gone.
      where outcome not in ('parked', 'put off') or (place = any(waiting)) is not true
    ),
    ${attempted},
    put_off as (
      insert into webhook_work (window_id, place, workspace_id, cursor_id, endpoint_id, event_id, lane, sequence,
        previous_sequence, attempts, tries, due_at)
      select notable.window_id, notable.place, notable.workspace_id, notable.cursor_id, notable.endpoint_id,
        notable.event_id, notable.lane, notable.sequence, notable.previous_sequence, notable.attempt,
        notable.tries + 1, clock_timestamp() + notable.after_ms * interval '1 millisecond'
      from notable join attempted using (window_id, place) where notable.outcome = 'retry'
      union all
      select window_id, place, workspace_id, cursor_id, endpoint_id, event_id, lane, sequence, previous_sequence, 0, 0,
        case outcome when 'parked' then 'infinity' else clock_timestamp() + after_ms * interval '1 millisecond' end
      from held where outcome in ('parked', 'put off')
      on conflict do nothing
      returning window_id, place, workspace_id, cursor_id, endpoint_id, attempts, due_at
    ),
    settled as materialized (
      select window_id, place, attempt, workspace_id, cursor_id, endpoint_id, outcome from attempted
      union all
      select window_id, place, 1, workspace_id, cursor_id, endpoint_id,
        case due_at when 'infinity' then 'parked' else 'put off' end
      from put_off where attempts = 0
    ),
    counted as materialized (select * from settled),
    by_window as materialized (
      select settled.window_id, settled.workspace_id, settled.cursor_id, settled.endpoint_id, count(*)::int as ended,
        count(*) >= windows.remaining as is_over,
        array_agg(settled.place) filter (where outcome in ('parked', 'put off')) as waiting,
        ${onTheirWay('windows.remaining', 'windows.width')}
          - greatest(0, ${onTheirWay('windows.remaining - count(*)', 'windows.width')}) as left_flight
      from settled join windows on windows.id = settled.window_id
      group by settled.window_id, settled.workspace_id, settled.cursor_id, settled.endpoint_id, windows.remaining,
        windows.width
    ),
    left_flight as materialized (
      select endpoint_id, workspace_id, sum(left_flight)::int as count from by_window group by endpoint_id, workspace_id
    ),
    closed_windows as materialized (
      select cursor_id, count(*)::int as count from by_window where is_over group by cursor_id
    ),
    closed as (
      delete from webhook_windows using by_window where webhook_windows.id = by_window.window_id
        and webhook_windows.workspace_id = by_window.workspace_id and is_over
    ),
    lessened as (
      update webhook_windows set remaining = remaining - by_window.ended,
        waiting = case when by_window.waiting is null then webhook_windows.waiting
          else webhook_windows.waiting || by_window.waiting end
      from by_window
      where webhook_windows.id = by_window.window_id
        and webhook_windows.workspace_id = by_window.workspace_id and not is_over
    ),
    ${consequences}`,
};

/**
 * As `recordWindowsStatement`, of deliveries that were claimed from the work: their rows go, or wait again. What was
 * claimed again since has another number of attempts, and stays as it is; by the same process, maybe, whose `results` may
 * then have both.
 */
export const recordWorkStatement: Statement = {
  name: 'harbor_webhooks_record_work',
  text: `
    with ${results},
    work as materialized (
      select work.window_id, work.place, work.attempts as attempt, work.is_manual
      from results join webhook_work work on work.window_id = results.window_id and work.place = results.place
        and work.attempts = results.attempt and work.in_flight
      order by work.window_id, work.place for no key update of work
    ),
    held as materialized (
      select results.*, work.is_manual from results join work using (window_id, place, attempt)
    ),
    ${attempted},
    ended as (
      delete from webhook_work using attempted where webhook_work.window_id = attempted.window_id
        and webhook_work.place = attempted.place and attempted.outcome <> 'retry'
    ),
    put_off as (
      update webhook_work set tries = notable.tries + 1, in_flight = false,
        due_at = clock_timestamp() + notable.after_ms * interval '1 millisecond'
      from attempted join notable using (window_id, place)
      where webhook_work.window_id = notable.window_id and webhook_work.place = notable.place
        and notable.outcome = 'retry'
    ),
    settled as materialized (select * from attempted),
    counted as materialized (
      select attempted.* from attempted join held using (window_id, place) where not held.is_manual
    ),
    closed_windows as materialized (select null::uuid as cursor_id, 0 as count where false),
    left_flight as materialized (
      select endpoint_id, workspace_id, count(*)::int as count from settled group by endpoint_id, workspace_id
    ),
    ${consequences}`,
};
