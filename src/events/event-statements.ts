import type { Statement } from '../database/statements.ts';
import { eventColumns } from './event-row.ts';

/**
 * Appends a batch: claims keys, locks counters, numbers and inserts, in one statement and one commit.
 *
 * Takes arrays of the same length, sorted by (workspace, key) bytewise, each key once: ids, workspace
 * ids, types, payloads, their bytes, keys (null for none), fingerprints, turns. New events are numbered by
 * their turns, which need not be the order of the keys. The last one is how long to wait for a lock, in
 * milliseconds; it holds to the end of the transaction. Returns a row per input, in order:
 *
 * - `is_new`: this input is the event; `sequence` and `created_at_ms` are set.
 * - otherwise a live key holds `id`, whose content has `fingerprint`.
 *
 * Concurrent batches never deadlock: all take keys in byte order, then counters in byte order. A batch
 * waits for another that holds one of its keys, and then sees what that one committed; a holder that
 * rolled back leaves the key free. Expiry is judged against the database's clock on the row under its
 * lock, so one of many claimants of an expired key wins, and the others see the winner's event.
 *
 * `created_at` is the database's clock under the counter's lock, and never before that of an earlier
 * sequence, even when the clock is set back.
 *
 * A new event of a workspace that is missing, or was deleted, has no number: the not-null rule of `sequence` then fails the
 * whole statement (23502), and nothing of the batch is stored.
 */
export const appendStatement: Statement = {
  name: 'harbor_append',
  text: `
    with input as materialized (
      select t.*, clock_timestamp() as at
      from (select set_config('lock_timeout', $9::text, true)) as limited cross join unnest(
        $1::uuid[], $2::text[], $3::text[], $4::json[], $5::int[], $6::text[], $7::bytea[], $8::bigint[]
      ) with ordinality
        as t (id, workspace_id, type, payload, payload_bytes, key, fingerprint, turn, place)
    ),
    claimed as (
      insert into idempotency_keys as held
        (workspace_id, key, event_id, fingerprint, created_at, expires_at)
      select workspace_id, key, id, fingerprint, at, at + interval '24 hours'
      from input where key is not null order by place
      on conflict (workspace_id, key) do update set
        event_id = case when held.expires_at <= excluded.created_at
          then excluded.event_id else held.event_id end,
        fingerprint = case when held.expires_at <= excluded.created_at
          then excluded.fingerprint else held.fingerprint end,
        created_at = case when held.expires_at <= excluded.created_at
          then excluded.created_at else held.created_at end,
        expires_at = case when held.expires_at <= excluded.created_at
          then excluded.expires_at else held.expires_at end
      returning workspace_id, key, event_id, fingerprint, expires_at
    ),
    judged as materialized (
      select input.id, input.workspace_id, input.type, input.payload, input.payload_bytes,
        input.turn, input.place,
        claimed.event_id as held_by, claimed.fingerprint, claimed.expires_at,
        claimed.event_id is null or claimed.event_id = input.id as is_new
      from input
      left join claimed on claimed.workspace_id = input.workspace_id and claimed.key = input.key
    ),
    locked as materialized (
      select id from workspaces
      where id in (select workspace_id from judged where is_new) and deleted_at is null
      order by id for no key update
    ),
    bumped as (
      update workspaces set
        last_sequence = workspaces.last_sequence + fresh.count,
        last_event_at = greatest(workspaces.last_event_at, clock_timestamp())
      from (
        select locked.id, count(*) as count
        from locked join judged on judged.workspace_id = locked.id
        where judged.is_new group by locked.id
      ) as fresh
      where workspaces.id = fresh.id
      returning workspaces.id, workspaces.last_sequence - fresh.count as base,
        workspaces.last_event_at
    ),
    inserted as (
      insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
      select judged.id, judged.workspace_id,
        bumped.base + row_number() over (partition by judged.workspace_id order by judged.turn),
        judged.type, judged.payload, judged.payload_bytes, bumped.last_event_at
      from judged left join bumped on bumped.id = judged.workspace_id
      where judged.is_new
      returning id, sequence, created_at
    )
    select judged.is_new, coalesce(judged.held_by, judged.id) as id,
      case when not judged.is_new then judged.fingerprint end as fingerprint,
      (extract(epoch from judged.expires_at) * 1000)::float8 as expires_at_ms,
      inserted.sequence::float8 as sequence,
      (extract(epoch from inserted.created_at) * 1000)::float8 as created_at_ms
    from judged left join inserted on inserted.id = judged.id
    order by judged.place`,
};

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
 * past, or whose workspace was deleted, though their rows may still be there. Payloads are cut
 * where they would exceed `$2` bytes, in the order of the ids: those beyond are null and never read from
 * disk. The first one always comes.
 */
export const readEventsStatement: Statement = {
  name: 'harbor_read_events',
  text: `
    select ${eventColumns} from (
      select id, workspace_id, type, created_at, sequence,
        case when bytes_before < $2::bigint then payload end as payload
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
