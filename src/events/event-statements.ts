import type { Statement } from '../database/statements.ts';
import { eventColumns } from './event-row.ts';

/**
 * Which of the workspaces in `$1` exist, and whether an append would have to wait for their counter. Waits
 * for nobody; two who look at the same time do not take each other for somebody who appends.
 */
export const inspectCountersStatement: Statement = {
  name: 'harbor_inspect_counters',
  text: `
    with free as materialized (
      select id from workspaces where id = any($1::text[]) for share skip locked
    )
    select workspaces.id, free.id is not null as is_free
    from workspaces left join free on free.id = workspaces.id
    where workspaces.id = any($1::text[]) and workspaces.deleted_at is null`,
};

/**
 * Reads the events with the ids in `$1`, in any order; ids without an event are left out, and events that retention is
 * past, or whose workspace was deleted, though their rows may still be there. Payloads and metadata are cut where
 * they, with the subjects, would exceed `$2` bytes, in the order of the ids: those beyond are null and never read
 * from disk. The first one always comes.
 */
export const readEventsStatement: Statement = {
  name: 'harbor_read_events',
  text: `
    select ${eventColumns} from (
      select id, workspace_id, type, created_at, sequence, subject, occurred_at, api_key_id, erased_at,
        case when bytes_before < $2::bigint then payload end as payload,
        case when bytes_before < $2::bigint then metadata end as metadata
      from (
        select events.*, sum(payload_bytes) over (
          order by array_position($1::uuid[], id) rows unbounded preceding) - payload_bytes as bytes_before
        from events where id = any($1::uuid[]) and exists (
          select from workspaces where workspaces.id = events.workspace_id
            and events.sequence >= first_sequence and deleted_at is null
        )
      ) as sized
    ) as cut`,
};

/** The types of events, without their payloads. */
export const readTypesStatement: Statement = {
  name: 'harbor_read_event_types',
  text: 'select id, type from events where id = any($1::uuid[])',
};

/**
 * Deletes up to `$1` idempotency keys that had expired when the statement began, and returns how many.
 *
 * Never waits for a lock: a key that is being claimed again is left for the next round. A claim that
 * meets a key being deleted waits for this statement, and then inserts it afresh.
 */
export const sweepStatement: Statement = {
  name: 'harbor_sweep_keys',
  text: `
    with expired as materialized (
      select workspace_id, key from idempotency_keys
      where expires_at <= statement_timestamp()
      order by expires_at limit $1::int for update skip locked
    ),
    deleted as (
      delete from idempotency_keys as held using expired
      where held.workspace_id = expired.workspace_id and held.key = expired.key
        and held.expires_at <= statement_timestamp()
      returning 1
    )
    select count(*)::float8 as count from deleted`,
};
