import type { Statement } from '../../database/statements.ts';
import { selectMs } from '../row-time.ts';

/** What has become of the deliveries in `keys`, each from its newest request, its work and its window. */
const deliveries = `
    select keys.window_id, keys.place, keys.workspace_id, keys.endpoint_id,
      coalesce(last.cursor_id, work.cursor_id, windows.cursor_id) as cursor_id,
      coalesce(last.event_id, work.event_id, (
        select id from events where events.workspace_id = keys.workspace_id
          and events.sequence = windows.sequences[keys.place + 1])) as event_id,
      coalesce(last.sequence, work.sequence, windows.sequences[keys.place + 1])::float8 as sequence,
      coalesce(last.previous_sequence, work.previous_sequence,
        case when keys.place = 0 then windows.previous_sequence else windows.sequences[keys.place] end
      )::float8 as previous_sequence,
      coalesce(last.attempt, 0) as attempts,
      ${selectMs("last.started_at + last.duration_ms * interval '1 millisecond'", 'last_attempt_at')},
      ${selectMs("case when work.due_at < 'infinity' and not work.in_flight then work.due_at end", 'next_attempt_at')},
      case when work.in_flight then 'in_flight'
        when work.window_id is not null then 'pending'
        when last.outcome = 'succeeded' then 'succeeded'
        when last.outcome = 'failed' then 'failed'
        when last.outcome is null and windows.id is not null
          and (keys.place = any(windows.waiting)) is not true then 'in_flight'
        else 'cancelled' end as state
    from keys
    left join lateral (
      select * from webhook_attempts attempts
      where attempts.window_id = keys.window_id and attempts.place = keys.place
      order by attempt desc limit 1
    ) as last on true
    left join webhook_work work on work.window_id = keys.window_id and work.place = keys.place
      and work.workspace_id = keys.workspace_id
    left join webhook_windows windows on windows.id = keys.window_id
      and windows.workspace_id = keys.workspace_id`;

/** Where deliveries are found: those that were tried, or those that are on their way. */
export type DeliverySource = 'tried' | 'open';

const newestFirst = 'order by window_id desc, place desc limit $5::int';

const sources: Record<DeliverySource, (ofEvent: boolean) => string> = {
  tried: (ofEvent) => `
        (select distinct window_id, place from ${ofEvent ? 'attempts_of_event' : 'webhook_attempts'}
          where endpoint_id = $1::uuid and (window_id, place) < ($3::uuid, $4::int) ${newestFirst})`,
  open: (ofEvent) => `
        (select window_id, place from webhook_work
          where endpoint_id = $1::uuid and (window_id, place) < ($3::uuid, $4::int)
          ${ofEvent ? 'and event_id = $6::uuid' : ''} ${newestFirst})
        union all
        (select windows.id as window_id, (places.place - 1)::int as place from webhook_windows windows
          cross join lateral unnest(windows.sequences) with ordinality as places (sequence, place)
          where windows.endpoint_id = $1::uuid and windows.workspace_id = $2
            and (windows.id, places.place - 1) < ($3::uuid, $4::bigint)
            ${ofEvent ? 'and places.sequence = (select sequence from events where id = $6::uuid and workspace_id = $2)' : ''}
          ${newestFirst})`,
};

/** By the event alone: those of an endpoint may be millions. */
const attemptsOfEvent = `attempts_of_event as materialized (
      select window_id, place, endpoint_id from webhook_attempts where event_id = $6::uuid and workspace_id = $2
    ),`;

/**
 * Deliveries of `$1` in `$2` from some sources, the newest first, before window `$3` and place `$4`; `$5` at the most. Where
 * `ofEvent`, those of the event `$6`.
 */
export function listDeliveriesStatement(
  from: readonly DeliverySource[],
  ofEvent: boolean,
): Statement {
  return {
    name: `harbor_webhooks_list_${from.join('_')}${ofEvent ? '_of_event' : ''}`,
    text: `
    with ${ofEvent ? attemptsOfEvent : ''} keys as materialized (
      select distinct window_id, place, $2::text as workspace_id, $1::uuid as endpoint_id from (
        ${from.map((source) => sources[source](ofEvent)).join('\n        union all')}
      ) as found
      ${newestFirst}
    )
    ${deliveries} order by keys.window_id desc, keys.place desc`,
  };
}

/** The delivery at window `$1` and place `$2`, or no row. */
export const findDeliveryStatement: Statement = {
  name: 'harbor_webhooks_find_delivery',
  text: `
    with keys as materialized (
      select window_id, place, workspace_id, endpoint_id from (
        (select window_id, place, workspace_id, endpoint_id from webhook_attempts
          where window_id = $1::uuid and place = $2::int limit 1)
        union all
        (select window_id, place, workspace_id, endpoint_id from webhook_work
          where window_id = $1::uuid and place = $2::int)
        union all
        (select id, $2::int, workspace_id, endpoint_id from webhook_windows
          where id = $1::uuid and $2::int < cardinality(sequences))
      ) as found limit 1
    )
    ${deliveries}`,
};

/** The newest requests of a delivery, `$3` at the most, the oldest of them first. */
export const readAttemptsStatement: Statement = {
  name: 'harbor_webhooks_read_attempts',
  text: `
    select attempt, ${selectMs('started_at', 'started_at')}, duration_ms, status, error, response from (
      select attempt, started_at, duration_ms, status, error, response from webhook_attempts
      where window_id = $1::uuid and place = $2::int order by attempt desc limit $3::int
    ) as newest order by attempt`,
};

/**
 * Lets a delivery be sent now: where it waits, its next try comes at once; where it has ended, it is sent once more, and not
 * again, outside of order and of what its cursor counts. One that is being sent, or waits behind another of its lane, is left
 * alone.
 *
 * Locks the work before the endpoint's state, as everybody does.
 */
export const retryDeliveryStatement: Statement = {
  name: 'harbor_webhooks_retry_delivery',
  text: `
    with last as materialized (
      select * from webhook_attempts where window_id = $1::uuid and place = $2::int
      order by attempt desc limit 1
    ),
    hastened as (
      update webhook_work set due_at = clock_timestamp()
      where window_id = $1::uuid and place = $2::int and not in_flight and due_at < 'infinity'
      returning endpoint_id, workspace_id
    ),
    again as (
      insert into webhook_work (window_id, place, workspace_id, cursor_id, endpoint_id, event_id, sequence,
        previous_sequence, attempts, tries, is_manual, due_at)
      select window_id, place, workspace_id, cursor_id, endpoint_id, event_id, sequence, previous_sequence, attempt,
        $3::int, true, clock_timestamp()
      from last where outcome in ('succeeded', 'failed') or outcome = 'retry' and not exists (
        select from webhook_work work where work.window_id = $1::uuid and work.place = $2::int)
      on conflict do nothing
      returning endpoint_id, workspace_id
    )
    update webhook_states set next_work_at = clock_timestamp()
    from (select * from hastened union all select * from again) as retried
    where webhook_states.endpoint_id = retried.endpoint_id
      and webhook_states.workspace_id = retried.workspace_id`,
};
