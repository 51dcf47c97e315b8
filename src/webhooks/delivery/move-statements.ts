import type { Statement } from '../../database/statements.ts';
import {
  isClosed,
  leaseOf,
  mayQueue,
  opensInMs,
  roomForNew,
  stateAfter,
  tokensOf,
  tokenWaitOf,
  unfinishedMax,
} from './room-statements.ts';

/**
 * Moves cursors and writes down what they have found as windows in flight, leased for `$1` ms, in one commit: each
 * match becomes exactly one delivery of its cursor, whatever crashes. `$2` failures in a row close an endpoint.
 *
 * Takes arrays, an endpoint at most once: cursors, workspaces, endpoints, the position where each is expected, the
 * sequence up to which the log was scanned (committed before this statement began: the counter itself, read here, would be
 * newer than the events that were seen), the matches as array literals, ids for the windows, and 1 where the scan came
 * to the end of the log. Of the matches as many are taken as the endpoint has room for, over all processes; times the depth,
 * which comes last, where the rest may wait in the window: its width says how many of them may be on their way at once. Of a
 * backlog that is half of what the endpoint takes, so that two windows take turns, and none is waited for when the other ends.
 *
 * Returns a row for each: `moved`, `closed` (the endpoint takes nothing now), `busy` (somebody else is at work on it),
 * `waits` (in order, for what is unfinished), `elsewhere` (the cursor is not where it was expected), `gone` (it, or its
 * endpoint, does not run). The position is where the cursor is by then.
 */
export const moveStatement: Statement = {
  name: 'harbor_webhooks_move',
  text: `
    with asked as materialized (
      select asked.*, asked.matches::bigint[] as found from unnest(
        $3::uuid[], $4::text[], $5::uuid[], $6::bigint[], $7::bigint[], $8::text[], $9::uuid[], $10::int[], $11::int[])
        as asked (cursor_id, workspace_id, endpoint_id, expected, scanned, matches, window_id, is_end, depth)
    ),
    states as materialized (
      select states.endpoint_id, endpoints.ordering, endpoints.max_per_second, endpoints.max_in_flight,
        states.circuit_open_until is not null as is_probe, ${isClosed('$2::int')} as is_closed,
        ${roomForNew('$2::int')} as room, ${opensInMs} as opens_in_ms,
        ${mayQueue} as may_queue, ${tokensOf('endpoints.max_per_second', 'states')} as tokens
      from asked join webhook_states states
        on states.endpoint_id = asked.endpoint_id and states.workspace_id = asked.workspace_id
      join webhook_endpoints endpoints
        on endpoints.id = states.endpoint_id and endpoints.workspace_id = states.workspace_id
      where endpoints.status = 'enabled' and endpoints.deleted_at is null
      order by states.endpoint_id for no key update of states skip locked
    ),
    cursors as materialized (
      select cursors.id, cursors.unfinished, cursors.previous_sequence, cursors.max_per_second,
        ${unfinishedMax} - cursors.unfinished as room, ${tokensOf('cursors.max_per_second', 'cursors')} as tokens
      from asked join states on states.endpoint_id = asked.endpoint_id
      join webhook_cursors cursors
        on cursors.id = asked.cursor_id and cursors.workspace_id = asked.workspace_id
      where cursors.position = asked.expected and cursors.state = 'running'
        and (states.ordering = 'none' or cursors.unfinished <= 0 or cardinality(asked.found) = 0)
      order by cursors.id for no key update of cursors
    ),
    counted as materialized (
      select asked.*, cursors.unfinished, cursors.previous_sequence, cardinality(asked.found) as total,
        states.is_probe, states.is_closed, states.room, states.opens_in_ms, cursors.tokens as cursor_tokens,
        states.tokens as endpoint_tokens, cursors.max_per_second as cursor_rate, states.max_per_second as endpoint_rate,
        case when queue.is_one and asked.is_end = 0 then ceil(states.max_in_flight / 2.0)::int
          else states.room end as width_max,
        floor(greatest(0, least(cardinality(asked.found), cursors.room, cursors.tokens, states.tokens,
          case when queue.is_one then least(2 * states.room, states.max_in_flight) * asked.depth
            else states.room end)))::int as taken
      from asked join cursors on cursors.id = asked.cursor_id
      join states on states.endpoint_id = asked.endpoint_id
      cross join lateral (
        select states.may_queue and cursors.max_per_second is null and asked.depth > 1 as is_one
      ) as queue
    ),
    moved as materialized (
      select counted.*, least(taken, room, width_max)::int as width,
        case when taken = total then scanned else found[taken + 1] - 1 end as position,
        case when taken < total then greatest(
          ${tokenWaitOf('cursor_rate', 'cursor_tokens - taken')},
          ${tokenWaitOf('endpoint_rate', 'endpoint_tokens - taken')}) end as token_wait_ms
      from counted
    ),
    used as (
      update webhook_states set in_flight = in_flight + moved.width,
        tokens = moved.endpoint_tokens - moved.taken, tokens_at = clock_timestamp(),
        circuit_open_until = case when moved.is_probe then ${leaseOf('$1')} else circuit_open_until end
      from moved where webhook_states.endpoint_id = moved.endpoint_id
        and webhook_states.workspace_id = moved.workspace_id and moved.taken > 0
    ),
    placed as (
      update webhook_cursors set position = moved.position,
        -- Once it was one too few, which nothing else would have made good.
        unfinished = greatest(0, webhook_cursors.unfinished) + moved.taken,
        open_windows = open_windows + least(moved.taken, 1),
        tokens = moved.cursor_tokens - moved.taken, tokens_at = clock_timestamp(),
        -- A live feed that has caught up has no pace of its own any more.
        max_per_second = case when kind = 'live' and moved.is_end = 1 and moved.taken = moved.total
          then null else webhook_cursors.max_per_second end,
        previous_sequence = case when moved.taken = 0 then webhook_cursors.previous_sequence
          else moved.found[moved.taken] end,
        ${stateAfter('moved.position', '(greatest(0, webhook_cursors.unfinished) + moved.taken)')}
      from moved where webhook_cursors.id = moved.cursor_id
        and webhook_cursors.workspace_id = moved.workspace_id and moved.position > moved.expected
    ),
    opened as (
      insert into webhook_windows (id, workspace_id, cursor_id, endpoint_id, sequences, previous_sequence,
        leased_until, remaining, width)
      select window_id, workspace_id, cursor_id, endpoint_id, found[1:taken], previous_sequence,
        ${leaseOf('$1')}, taken, width
      from moved where taken > 0
    )
    select asked.cursor_id, asked.window_id, coalesce(moved.taken, 0) as taken, coalesce(moved.width, 0) as width,
      coalesce(moved.previous_sequence, 0)::float8 as previous_sequence,
      coalesce(moved.position, now.position)::float8 as position, coalesce(moved.is_probe, false) as is_probe,
      coalesce(moved.total > moved.taken or (moved.taken > 0 and moved.width = moved.room), false) as is_limited,
      coalesce(moved.token_wait_ms, moved.opens_in_ms)::float8 as wait_ms,
      case
        when now.state is distinct from 'running' or endpoints.status is distinct from 'enabled'
          or endpoints.deleted_at is not null then 'gone'
        when moved.is_closed and moved.taken = 0 and moved.total > 0 then 'closed'
        when moved.cursor_id is not null then 'moved'
        when states.endpoint_id is null then 'busy'
        when now.position = asked.expected then 'waits'
        else 'elsewhere'
      end as outcome
    from asked left join moved on moved.cursor_id = asked.cursor_id
    left join states on states.endpoint_id = asked.endpoint_id
    left join webhook_cursors now on now.id = asked.cursor_id and now.workspace_id = asked.workspace_id
    left join webhook_endpoints endpoints
      on endpoints.id = asked.endpoint_id and endpoints.workspace_id = asked.workspace_id`,
};

/** Where cursors are, of those in `$1`. */
export const positionsStatement: Statement = {
  name: 'harbor_webhooks_positions',
  text: `select id, position::float8 as position from webhook_cursors where id = any($1::uuid[])`,
};

/** Leases windows on for `$1` ms, and returns those of `$2` that nobody has taken up since. */
export const renewStatement: Statement = {
  name: 'harbor_webhooks_renew',
  text: `
    with held as materialized (
      select id, workspace_id from webhook_windows where id = any($2::uuid[]) order by id for no key update
    )
    update webhook_windows windows set leased_until = ${leaseOf('$1')}
    from held where windows.id = held.id and windows.workspace_id = held.workspace_id
    returning windows.id`,
};
