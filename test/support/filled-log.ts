import type { TestDatabase } from './test-database.ts';

export interface FilledEvent {
  readonly type: string;
  readonly payload?: unknown;
  readonly createdAt?: Date;
}

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
       update workspaces set last_sequence = last_sequence + cardinality($2::text[]) where id = $1
       returning last_sequence - cardinality($2::text[]) as base
     )
     insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
     select gen_random_uuid(), $1, base + place, type, payload::json, octet_length(payload), created_at
     from grown, unnest($2::text[], $3::text[], $4::timestamptz[])
       with ordinality as t (type, payload, created_at, place)`,
    [
      workspaceId,
      events.map(({ type }) => type),
      events.map(({ payload }) => JSON.stringify(payload ?? {})),
      events.map(({ createdAt }) => createdAt ?? new Date()),
    ],
  );
}

/** Deletes an event in spite of the trigger, as only a superuser can: the damage that LOG_GAP tells of. */
export async function tearOut(
  database: TestDatabase,
  workspaceId: string,
  sequence: number,
): Promise<void> {
  const client = await database.connect();
  try {
    await client.query('begin');
    await client.query('alter table events disable trigger all');
    await client.query('delete from events where workspace_id = $1 and sequence = $2', [
      workspaceId,
      sequence,
    ]);
    await client.query('alter table events enable trigger all');
    await client.query('commit');
  } finally {
    await client.end();
  }
}
