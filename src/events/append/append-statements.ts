import {
  byteaArray,
  int4Array,
  int8Array,
  jsonArray,
  orNull,
  textArray,
  timestamptzArray,
  uuidArray,
} from '../../database/binary-arrays.ts';
import { isPartitionMissing, isRowAtFault, sqlStateOf } from '../../database/postgres-errors.ts';
import type { Statement } from '../../database/statements.ts';
import { DatabaseContended, DatabaseUnavailable } from '../../database-unavailable.ts';
import { idOf, newUuid, remembering, uuidOf } from '../../type-id.ts';
import type { Event, PreparedEvent } from '../event.ts';
import { AppendContended, AppendRowRefused } from '../event-errors.ts';
import { RecordedEvent } from '../recorded-event.ts';

/**
 * Appends a batch: claims keys, locks counters, numbers and inserts, in one statement and one commit.
 *
 * Takes what `toAppendValues` makes: arrays, sorted by (workspace, key) bytewise, each key once. One that is
 * null is null for every event. New events are numbered by their turns, which need not be the order of the keys. How
 * long to wait for a lock holds to the end of the transaction. Returns a row per input, in order:
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
 * A new event of a workspace that is missing, or was deleted, has no number: the not-null rule of `sequence` then
 * fails the whole statement (23502), and nothing of the batch is stored.
 */
export const appendStatement: Statement = {
  name: 'harbor_append',
  text: `
    with input as materialized (
      select t.*, clock_timestamp() as at
      from (select set_config('lock_timeout', $1::text, true)) as limited cross join unnest(
        $2::uuid[], $3::text[], $4::text[], $5::json[], $6::int[], $7::text[], $8::bytea[], $9::bigint[],
        $10::text[], $11::timestamptz[], $12::json[], $13::uuid[], $14::text[]
      ) with ordinality as t (
        id, workspace_id, type, payload, payload_bytes, key, fingerprint, turn,
        subject, occurred_at, metadata, api_key_id, trace_context, place
      )
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
        input.turn, input.subject, input.occurred_at, input.metadata, input.api_key_id,
        input.trace_context, input.place,
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
      insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at,
        subject, occurred_at, metadata, api_key_id, trace_context)
      select judged.id, judged.workspace_id,
        bumped.base + row_number() over (partition by judged.workspace_id order by judged.turn),
        judged.type, judged.payload, judged.payload_bytes, bumped.last_event_at,
        judged.subject, judged.occurred_at, judged.metadata, judged.api_key_id, judged.trace_context
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

/** The parameters of `appendStatement`; the events get ids of their own, of the time `nowMs`. */
export function toAppendValues(
  events: readonly PreparedEvent[],
  turns: readonly number[],
  { lockMsMax, nowMs }: { readonly lockMsMax: number; readonly nowMs: number },
): unknown[] {
  const keyUuidOf = remembering(uuidOf);
  return [
    `${lockMsMax}`,
    uuidArray(events.map(() => newUuid(nowMs))),
    textArray(events.map((event) => event.workspaceId)),
    textArray(events.map((event) => event.type)),
    jsonArray(events.map((event) => event.payloadJson)),
    int4Array(events.map((event) => event.contentBytes)),
    textArray(events.map((event) => event.idempotencyKey)),
    byteaArray(events.map((event) => event.fingerprint)),
    int8Array(turns),
    orNull(
      textArray,
      events.map((event) => event.subject),
    ),
    orNull(
      timestamptzArray,
      events.map((event) => event.occurredAtMicros),
    ),
    orNull(
      jsonArray,
      events.map((event) => event.metadataJson),
    ),
    orNull(
      uuidArray,
      events.map(({ apiKeyId }) => apiKeyId && keyUuidOf(apiKeyId)),
    ),
    orNull(
      textArray,
      events.map((event) => event.traceContext),
    ),
  ];
}

/** What became of one row of an append. */
export type AppendedRow = CreatedRow | HeldRow;

export interface CreatedRow {
  readonly kind: 'created';
  readonly event: Event;
  /** Set exactly when the row has an idempotency key. */
  readonly expiresAt: Date | undefined;
}

/** A live idempotency key holds an event, whose content has `fingerprint`. */
export interface HeldRow {
  readonly kind: 'held';
  readonly eventId: string;
  readonly fingerprint: Buffer;
  readonly expiresAt: Date;
}

/** A row that `appendStatement` returns. */
export interface AppendRow {
  readonly is_new: boolean;
  readonly id: string;
  readonly fingerprint: Buffer | null;
  readonly expires_at_ms: number | null;
  readonly sequence: number | null;
  readonly created_at_ms: number | null;
}

/** What became of an event, of which `row` came back. */
export function toAppendedRow(input: PreparedEvent, row: AppendRow | undefined): AppendedRow {
  if (row === undefined) throw new Error('the append returned fewer rows than it was given');
  const expiresAt = row.expires_at_ms === null ? undefined : new Date(row.expires_at_ms);
  const id = idOf('evt', row.id);
  if (!row.is_new) {
    if (row.fingerprint === null || expiresAt === undefined) {
      throw new Error(`the append returned an incomplete key for ${id}`);
    }
    return { kind: 'held', eventId: id, fingerprint: row.fingerprint, expiresAt };
  }
  if (row.sequence === null || row.created_at_ms === null) {
    throw new Error(`the append returned no sequence for ${id}`);
  }
  const event = new RecordedEvent({
    id,
    workspaceId: input.workspaceId,
    type: input.type,
    subject: input.subject,
    payload: input.payload,
    payloadJson: input.payloadJson,
    occurredAtMicros: input.occurredAtMicros,
    metadata: input.metadata,
    createdAt: new Date(row.created_at_ms),
    sequence: row.sequence,
    apiKeyId: input.apiKeyId,
    erasedAt: undefined,
    traceContext: input.traceContext,
  });
  return { kind: 'created', event, expiresAt };
}

/** Throws what an append's error means. */
export function rethrowAsAppendError(error: unknown): never {
  if (error instanceof DatabaseContended) throw new AppendContended(error);
  if (isPartitionMissing(error)) {
    // The ids are to blame, which are ours; another try has others.
    throw new DatabaseUnavailable('no partition of events holds the time of a new id', {
      sent: false,
      cause: error,
    });
  }
  if (isRowAtFault(error)) {
    const workspaceMissing = sqlStateOf(error) === '23502';
    throw new AppendRowRefused({ workspaceMissing, cause: error });
  }
  throw error;
}
