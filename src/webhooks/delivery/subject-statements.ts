import type { Statement } from '../../database/statements.ts';
import {
  isClosed,
  leaseOf,
  opensInMs,
  roomForNew,
  stateAfter,
  tokensOf,
  unfinishedMax,
} from './room-statements.ts';

/*
 * How a cursor moves that keeps the order of each subject: the cursor is locked first, then read which subjects have
 * deliveries that are not done. Whoever ends one of these locks the cursor too, so that none is parked behind what has gone.
 */

/**
 * Locks the cursor `$2` of the endpoint `$4` in `$3`, unless somebody else is at work on the endpoint, and says what
 * there is room for: `$1` failures in a row close the endpoint.
 */
export const lockSubjectCursorStatement: Statement = {
  name: 'harbor_webhooks_lock_subject_cursor',
  text: `
    with states as materialized (
      select states.endpoint_id, states.circuit_open_until is not null as is_probe,
        ${isClosed('$1::int')} as is_closed, ${roomForNew('$1::int')} as room, ${opensInMs} as opens_in_ms,
        endpoints.max_per_second, ${tokensOf('endpoints.max_per_second', 'states')} as tokens
      from webhook_states states join webhook_endpoints endpoints
        on endpoints.id = states.endpoint_id and endpoints.workspace_id = states.workspace_id
      where states.endpoint_id = $4::uuid and states.workspace_id = $3::text
        and endpoints.status = 'enabled' and endpoints.deleted_at is null
      for no key update of states skip locked
    ),
    cursor as materialized (
      select cursors.* from states join webhook_cursors cursors
        on cursors.id = $2::uuid and cursors.workspace_id = $3::text
      for no key update of cursors
    )
    select cursor.position::float8 as position, cursor.state, cursor.open_windows,
      cursor.parked, cursor.previous_sequence::float8 as previous_sequence, states.is_probe, states.is_closed,
      least(states.room, ${unfinishedMax} - (cursor.unfinished - cursor.parked))::int as room,
      states.opens_in_ms, states.tokens as endpoint_tokens, states.max_per_second as endpoint_rate,
      ${tokensOf('cursor.max_per_second', 'cursor')} as cursor_tokens, cursor.max_per_second as cursor_rate
    from states cross join cursor`,
};

/** Which of the lanes in `$2` have deliveries of the cursor `$1` that are not done. */
export const busyLanesStatement: Statement = {
  name: 'harbor_webhooks_busy_lanes',
  text: `
    select lane from unnest($2::text[]) as lanes (lane) where exists (
      select from webhook_work where webhook_work.cursor_id = $1::uuid and webhook_work.lane = lanes.lane)`,
};

/**
 * Moves the locked cursor `$2` to `$7`: the deliveries of the sequences `$6` are in the window `$5`, `$8` of them to be sent
 * now, and those of the places in `$13` parked.
 */
export const placeSubjectsStatement: Statement = {
  name: 'harbor_webhooks_place_subjects',
  text: `
    with opened as (
      insert into webhook_windows (id, workspace_id, cursor_id, endpoint_id, sequences, previous_sequence,
        leased_until, remaining, waiting)
      select $5::uuid, $3::text, $2::uuid, $4::uuid, $6::bigint[], $9::bigint, ${leaseOf('$1')}, $8::int, $13::int[]
      where $8::int > 0
    ),
    parked as (
      insert into webhook_work (window_id, place, workspace_id, cursor_id, endpoint_id, event_id, lane, sequence,
        previous_sequence, attempts, tries, due_at)
      select $5::uuid, place, $3::text, $2::uuid, $4::uuid, event_id, lane, sequence, previous_sequence, 0, 0, 'infinity'
      from unnest($13::int[], $14::uuid[], $15::text[], $16::bigint[], $17::bigint[])
        as parked (place, event_id, lane, sequence, previous_sequence)
    ),
    used as (
      update webhook_states set in_flight = in_flight + $8::int, tokens = $10::float8 - $8::int,
        tokens_at = clock_timestamp(),
        circuit_open_until = case when circuit_open_until is not null then ${leaseOf('$1')} end
      where endpoint_id = $4::uuid and workspace_id = $3::text and $8::int > 0
    )
    update webhook_cursors set position = $7::bigint,
      unfinished = unfinished + cardinality($6::bigint[]), parked = parked + cardinality($13::int[]),
      open_windows = open_windows + least($8::int, 1),
      tokens = $11::float8 - $8::int, tokens_at = clock_timestamp(),
      max_per_second = case when kind = 'live' and $12::boolean then null else max_per_second end,
      previous_sequence = coalesce(($6::bigint[])[cardinality($6::bigint[])], previous_sequence),
      ${stateAfter('$7::bigint', '(unfinished + cardinality($6::bigint[]))')}
    where id = $2::uuid and workspace_id = $3::text`,
};
