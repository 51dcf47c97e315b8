import type { Client } from 'pg';
import { uuidSqlAt } from './partitions.ts';
import type { TestDatabase } from './test-database.ts';

export interface FilledEvent {
  readonly type: string;
  readonly subject?: string | undefined;
  readonly payload?: unknown;
  readonly createdAt?: Date;
  /** The time in its id; now unless said otherwise. */
  readonly idAt?: Date;
}

/** SQL for a UUIDv7 of now: any other might be of a time without a partition. */
export const newUuidSql = uuidSqlAt('clock_timestamp()');

/**
 * Appends events by SQL: fast, at times of the test's choosing, and without a word to any process. The
 * times must not decrease along the log.
 */
export async function fillLog(
  database: TestDatabase,
  workspaceId: string,
  events: readonly FilledEvent[],
): Promise<void> {
  await database.query(
    `with grown as (
       update workspaces set last_sequence = last_sequence + cardinality($2::text[]),
         last_event_at = coalesce(($4::timestamptz[])[cardinality($4::timestamptz[])], last_event_at)
       where id = $1
       returning last_sequence - cardinality($2::text[]) as base
     )
     insert into events
       (id, workspace_id, sequence, type, subject, payload, payload_bytes, created_at)
     select ${uuidSqlAt('coalesce(id_at, clock_timestamp())')}, $1, base + place, type, subject, payload::json,
       octet_length(payload) + coalesce(octet_length(subject), 0), created_at
     from grown, unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[],
       $6::timestamptz[]) with ordinality as t (type, payload, created_at, subject, id_at, place)`,
    [
      workspaceId,
      events.map(({ type }) => type),
      events.map(({ payload }) => JSON.stringify(payload ?? {})),
      events.map(({ createdAt }) => createdAt ?? new Date()),
      events.map(({ subject }) => subject),
      events.map(({ idAt }) => idAt),
    ],
  );
}

/** Deletes an event in spite of the trigger, as only a superuser can: the damage that LOG_GAP tells of. */
export async function tearOut(
  database: TestDatabase,
  workspaceId: string,
  sequence: number,
): Promise<void> {
  await withoutTrigger(database, async (client) => {
    await client.query('delete from events where workspace_id = $1 and sequence = $2', [
      workspaceId,
      sequence,
    ]);
  });
}

/** Makes `firstSequence` the first event that is kept, and leaves the rows before it. */
export async function moveFloor(
  database: TestDatabase,
  workspaceId: string,
  firstSequence: number,
): Promise<void> {
  await database.query('update workspaces set first_sequence = $2 where id = $1', [
    workspaceId,
    firstSequence,
  ]);
}

/** Erases events as the service does, at once, and without a word to any process. */
export async function eraseQuietly(
  database: TestDatabase,
  workspaceId: string,
  sequences: readonly number[],
): Promise<void> {
  await database.query(
    `with erased as (
       update events set payload = '{}', payload_bytes = 2, subject = null, metadata = null,
         trace_context = null, erased_at = clock_timestamp()
       where workspace_id = $1 and sequence = any($2::bigint[]) returning id, sequence
     ), grown as (
       update workspaces set revision = revision + 1,
         last_sequence = last_sequence + (select count(*) from erased)
       where id = $1 returning last_sequence - (select count(*) from erased) as base
     )
     insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
     select ${newUuidSql}, $1, base + row_number() over (order by sequence), 'harbor.event.erased',
       '{}', 2, clock_timestamp()
     from erased, grown`,
    [workspaceId, sequences],
  );
}

/** Deletes rows below the floor as retention does, up to `limit` of them. */
export async function deleteBelowFloor(
  database: TestDatabase,
  workspaceId: string,
  limit = 1_000_000,
): Promise<void> {
  const client = await database.connect();
  try {
    await client.query('begin');
    await client.query(`set local harbor.retention = 'on'`);
    await client.query(
      `delete from events where workspace_id = $1 and sequence in (
         select sequence from events join workspaces on workspaces.id = workspace_id
         where workspace_id = $1 and sequence < first_sequence order by sequence limit $2)`,
      [workspaceId, limit],
    );
    await client.query('commit');
  } finally {
    await client.end();
  }
}

/**
 * Leaves a log as a restore to an earlier point does: up to `lastSequence`, and then `regrown` others in
 * place of those that were there.
 */
export async function setBack(
  database: TestDatabase,
  workspaceId: string,
  { lastSequence, regrown = 0 }: { readonly lastSequence: number; readonly regrown?: number },
): Promise<void> {
  await withoutTrigger(database, async (client) => {
    const values = [workspaceId, lastSequence];
    await client.query('delete from events where workspace_id = $1 and sequence > $2', values);
    await client.query(
      `insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
       select ${newUuidSql}, $1, $2::bigint + place, 'regrown', '{}', 2, now()
       from generate_series(1, $3::int) as place`,
      [...values, regrown],
    );
    await client.query(
      `update workspaces set last_sequence = $2::bigint + $3::int, last_event_at = (
         select created_at from events where workspace_id = $1 order by sequence desc limit 1
       ) where id = $1`,
      [...values, regrown],
    );
  });
}

/** What `change` does is one transaction, in spite of the trigger. */
async function withoutTrigger(
  database: TestDatabase,
  change: (client: Client) => Promise<void>,
): Promise<void> {
  const client = await database.connect();
  try {
    await client.query('begin');
    await client.query('alter table events disable trigger all');
    await change(client);
    await client.query('alter table events enable trigger all');
    await client.query('commit');
  } finally {
    await client.end();
  }
}
