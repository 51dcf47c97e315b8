import type { PoolClient } from 'pg';
import type { Database } from '../../src/database/database.ts';
import type { PreparedEvent } from '../../src/events/event.ts';
import type { Appended } from '../../src/events/index.ts';
import { idOf, newId, uuidOf } from '../../src/type-id.ts';

const claim = {
  name: 'bench_claim',
  text: `
    insert into idempotency_keys (workspace_id, key, event_id, fingerprint, created_at, expires_at)
    values ($1, $2, $3, $4, now(), now() + interval '24 hours')
    on conflict (workspace_id, key) do nothing
    returning (extract(epoch from expires_at) * 1000)::float8 as expires_at_ms`,
};
const bump = {
  name: 'bench_bump',
  text: `
    update workspaces set last_sequence = last_sequence + 1,
      last_event_at = greatest(last_event_at, clock_timestamp())
    where id = $1
    returning last_sequence::float8 as sequence`,
};
const insert = {
  name: 'bench_insert',
  text: `
    insert into events
      (id, workspace_id, sequence, type, payload, payload_bytes, api_key_id, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
    returning (extract(epoch from created_at) * 1000)::float8 as created_at_ms`,
};

/**
 * Writes a create in a transaction of its own, as a service without a queue does: begin, claim the key,
 * take the next number, insert, commit, each a prepared statement and a round trip. Knows only creates
 * that are new.
 */
export async function appendInTransaction(
  database: Pick<Database, 'connect'>,
  event: PreparedEvent,
): Promise<Appended> {
  const client = await database.connect();
  try {
    await client.query('begin');
    const appended = await write(client, event);
    await client.query('commit');
    client.release();
    return appended;
  } catch (error) {
    client.release(true);
    throw error;
  }
}

async function write(client: PoolClient, event: PreparedEvent): Promise<Appended> {
  const {
    workspaceId,
    type,
    payload,
    payloadJson,
    contentBytes,
    idempotencyKey,
    fingerprint,
    apiKeyId,
  } = event;
  const uuid = uuidOf(newId('evt'));
  const claimed = await client.query({
    ...claim,
    values: [workspaceId, idempotencyKey, uuid, fingerprint],
  });
  if (claimed.rows.length === 0) throw new Error('the bench sends each idempotency key once');
  const bumped = await client.query({ ...bump, values: [workspaceId] });
  const sequence: number = bumped.rows[0].sequence;
  const inserted = await client.query({
    ...insert,
    values: [
      uuid,
      workspaceId,
      sequence,
      type,
      payloadJson,
      contentBytes,
      apiKeyId && uuidOf(apiKeyId),
    ],
  });
  const createdAt = new Date(inserted.rows[0].created_at_ms);
  return {
    event: {
      id: idOf('evt', uuid),
      workspaceId,
      type,
      payload,
      payloadJson,
      createdAt,
      sequence,
      apiKeyId,
    },
    replayed: false,
    idempotencyKeyExpiresAt: new Date(claimed.rows[0].expires_at_ms),
  };
}
