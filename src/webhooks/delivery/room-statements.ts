/*
 * What an endpoint has room for, as SQL of `states` joined with `endpoints`. Locks are taken in one order everywhere:
 * windows or work, then the states of endpoints, then cursors, each by id. Moves and claims skip states that are locked
 * and wait for none, so that one endpoint delays no other.
 */

/** Deliveries of one cursor that have not ended; beyond it the cursor stands. */
export const unfinishedMax = 1_000;
/** Deliveries of one cursor that wait behind others of their lanes. */
export const parkedMax = 10_000;

/** Requests at once to an endpoint that has not succeeded since it last failed. */
const unprovenMax = 100;

/** How many tokens a bucket holds by now, a second's worth at the most; very many where there is no limit. */
export function tokensOf(rate: string, table: string): string {
  return `case when ${rate} is null then 1e9 else least(${rate}::float8, ${table}.tokens
    + ${rate} * extract(epoch from clock_timestamp()
      - greatest(${table}.tokens_at, clock_timestamp() - interval '1 second'))) end`;
}

/** In how many milliseconds there will be a token, where `left` of them are left. */
export function tokenWaitOf(rate: string, left: string): string {
  return `ceil(1000 * greatest(0, 1 - (${left})) / ${rate})`;
}

/**
 * How long an endpoint that has failed too often, but not for long enough to open its circuit, is sent nothing new after its
 * last failure. What waits may wait for hours, or there may be nothing of it: then something new tells how it fares.
 */
const afterFailure = `interval '5 seconds'`;

/** Whether an endpoint is sent nothing new, whatever room it has; but for a probe. */
export function isClosed(failuresMax: string): string {
  return `(coalesce(states.hold_until > clock_timestamp(), false) or states.circuit_open_until is not null
    or states.failures >= ${failuresMax})`;
}

/** Requests that may begin now for events that are new, where `failuresMax` failures in a row are too many. */
export function roomForNew(failuresMax: string): string {
  return `case
    when states.hold_until > clock_timestamp() or states.circuit_open_until > clock_timestamp() then 0
    -- A probe: the oldest that is due goes first.
    when states.circuit_open_until is not null then case
      when states.next_work_at <= clock_timestamp() then 0
      else least(1, endpoints.max_in_flight - states.in_flight) end
    when states.failures >= ${failuresMax} then case
      when states.in_flight > 0 or states.next_work_at <= clock_timestamp()
        or states.last_failure_at > clock_timestamp() - ${afterFailure} then 0
      else 1 end
    -- One that has not answered well yet, or not lately, is not met with all that it may take.
    when states.last_success_at is null or states.failures > 0
      then least(endpoints.max_in_flight, ${unprovenMax}) - states.in_flight
    else endpoints.max_in_flight - states.in_flight end`;
}

/**
 * Whether a window may hold more than is on its way at once: nothing has failed lately, what is not sent yet when something does
 * stands in nobody's order, and counts against no rate.
 */
export const mayQueue = `(endpoints.ordering = 'none' and endpoints.max_per_second is null
    and states.failures = 0 and states.last_success_at is not null and states.circuit_open_until is null)`;

/** How many requests of a window with `remaining` deliveries may be on their way at once. */
export function onTheirWay(remaining: string, width: string): string {
  return `least(${remaining}, ${width})`;
}

/**
 * Whether an endpoint has all the requests that it takes. Those of a process that has died may be among them, and are
 * begun again in the places that they have: nobody else gives these back.
 */
export const isFull = 'states.in_flight >= endpoints.max_in_flight';

/** Requests that may begin now for deliveries that have waited; where it is full, for those alone that have a place. */
export const roomForWork = `case
    when states.hold_until > clock_timestamp() or states.circuit_open_until > clock_timestamp()
      or endpoints.status <> 'enabled' or endpoints.deleted_at is not null then 0
    when states.circuit_open_until is not null then 1
    when ${isFull} then endpoints.max_in_flight
    else endpoints.max_in_flight - states.in_flight end`;

/** In how many milliseconds a closed endpoint is asked again; null where that is not known. */
export const opensInMs = `(extract(epoch from greatest(states.hold_until, states.circuit_open_until)
    - clock_timestamp()) * 1000)::float8`;

/** A lease from now on, of as many milliseconds. */
export function leaseOf(ms: string): string {
  return `clock_timestamp() + ${ms}::float8 * interval '1 millisecond'`;
}

/** What a cursor is once its range was gone through and it has `unfinished` deliveries. */
export function stateAfter(position: string, unfinished: string): string {
  return `state = case when webhook_cursors.state = 'running' and ${position} >= webhook_cursors.end_sequence
      and ${unfinished} <= 0 then 'done' else webhook_cursors.state end,
    ended_at = case when webhook_cursors.state = 'running' and ${position} >= webhook_cursors.end_sequence
      and ${unfinished} <= 0 then clock_timestamp() else webhook_cursors.ended_at end`;
}
