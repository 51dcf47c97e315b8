import type { SchemaSession } from '../schema-session.ts';
import type { Migration } from './migration.ts';

/** What the programs of before `harbor_schema` hold while they migrate: "harbor" in ASCII. */
const earlierLock = 0x686172626f72;

/** Workspaces, events, idempotency keys and API keys. */
export const events: Migration = {
  name: '0001-events',
  worksFrom: '0001-events',
  steps: [
    {
      name: 'tables',
      async run(session) {
        await session.query(`select pg_advisory_xact_lock(${earlierLock})`);
        if (await isThere(session)) return;
        for (const text of tables) await session.query(text);
      },
    },
  ],
};

/** The programs of before `harbor_schema` have made the same tables, and look there for what has run. */
async function isThere({ query }: SchemaSession): Promise<boolean> {
  await query(`
    create table if not exists harbor_migrations (
      id serial primary key,
      name varchar(255),
      executed_at timestamptz default current_timestamp
    )`);
  const found = await query('select from harbor_migrations where name = $1', [events.name]);
  if (found.length > 0) return true;
  await query('insert into harbor_migrations (name) values ($1)', [events.name]);
  return false;
}

const tables = [
  // The counter of every append lives in this row: half-empty pages keep its updates heap-only.
  `
  create table workspaces (
    id text collate "C" not null primary key,
    display_name text not null,
    last_sequence bigint not null default 0,
    last_event_at timestamptz(3) null,
    created_at timestamptz(3) not null
  ) with (fillfactor = 50)`,
  // No foreign key to workspaces: it would lock the workspace's row once more for every event.
  `
  create table events (
    id uuid not null,
    workspace_id text collate "C" not null,
    sequence bigint not null,
    type text collate "C" not null,
    payload json not null,
    payload_bytes integer not null,
    created_at timestamptz(3) not null,
    primary key (id, workspace_id),
    constraint events_workspace_id_sequence_key unique (workspace_id, sequence)
  )`,
  // A rare type is found without reading the others; sequence and time need no index of their own.
  'create index events_workspace_id_type_sequence_index on events (workspace_id, type, sequence)',
  `
  create table idempotency_keys (
    workspace_id text collate "C" not null,
    key text collate "C" not null,
    fingerprint bytea not null,
    event_id uuid not null,
    created_at timestamptz(3) not null,
    expires_at timestamptz(3) not null,
    primary key (workspace_id, key)
  )`,
  'create index idempotency_keys_expires_at_index on idempotency_keys (expires_at)',
  `
  create table api_keys (
    id uuid not null primary key,
    kind text not null,
    display_name text not null,
    hint text not null,
    secret_hash bytea not null,
    scopes text[] not null,
    workspace_ids text[] not null,
    type_patterns text[] not null,
    created_at timestamptz(3) not null,
    expires_at timestamptz(3) null,
    revoked_at timestamptz(3) null,
    last_used_at timestamptz(3) null,
    constraint api_keys_secret_hash_key unique (secret_hash)
  )`,
  // Events are immutable for SQL too. Retention, the one that may delete, says so in its transaction.
  `
  create function harbor_refuse_event_change() returns trigger language plpgsql as $$
  begin
    if tg_op = 'DELETE' and current_setting('harbor.retention', true) = 'on' then
      return null;
    end if;
    raise exception 'events are immutable: % refused', tg_op using errcode = 'restrict_violation';
  end $$`,
  `
  create trigger events_are_immutable before update or delete or truncate on events
  for each statement execute function harbor_refuse_event_change()`,
];
