import { Migration } from '@mikro-orm/migrations';

/** Workspaces, events, idempotency keys and API keys. */
export class Events extends Migration {
  override up(): void {
    // The counter of every append lives in this row: half-empty pages keep its updates heap-only.
    this.addSql(`
      create table workspaces (
        id text collate "C" not null primary key,
        display_name text not null,
        last_sequence bigint not null default 0,
        last_event_at timestamptz(3) null,
        created_at timestamptz(3) not null
      ) with (fillfactor = 50)`);

    // No foreign key to workspaces: it would lock the workspace's row once more for every event.
    this.addSql(`
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
      )`);

    // A rare type is found without reading the others; sequence and time need no index of their own.
    this.addSql(
      'create index events_workspace_id_type_sequence_index on events (workspace_id, type, sequence)',
    );

    this.addSql(`
      create table idempotency_keys (
        workspace_id text collate "C" not null,
        key text collate "C" not null,
        fingerprint bytea not null,
        event_id uuid not null,
        created_at timestamptz(3) not null,
        expires_at timestamptz(3) not null,
        primary key (workspace_id, key)
      )`);
    this.addSql('create index idempotency_keys_expires_at_index on idempotency_keys (expires_at)');

    this.addSql(`
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
      )`);

    // Events are immutable for SQL too. Retention, the one that may delete, says so in its transaction.
    this.addSql(`
      create function harbor_refuse_event_change() returns trigger language plpgsql as $$
      begin
        if tg_op = 'DELETE' and current_setting('harbor.retention', true) = 'on' then
          return null;
        end if;
        raise exception 'events are immutable: % refused', tg_op using errcode = 'restrict_violation';
      end $$`);
    this.addSql(`
      create trigger events_are_immutable before update or delete or truncate on events
      for each statement execute function harbor_refuse_event_change()`);
  }

  override down(): void {
    this.addSql('drop table api_keys, idempotency_keys, events, workspaces');
    this.addSql('drop function harbor_refuse_event_change()');
  }
}
