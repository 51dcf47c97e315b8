import { Migration } from '@mikro-orm/migrations';

/** What an event can say beyond its payload, retention, erasure, rotation of keys, and the audit. */
export class TenYears extends Migration {
  override up(): void {
    // Nullable, or with a constant: no row is rewritten, and processes of the version before go on.
    this.addSql(`
      alter table workspaces
        add column retention_days integer null,
        add column first_sequence bigint not null default 1,
        add column revision bigint not null default 0,
        add column deleted_at timestamptz(3) null`);
    this.addSql(`
      alter table events
        add column subject text collate "C" null,
        add column occurred_at timestamptz(6) null,
        add column metadata json null,
        add column api_key_id uuid null,
        add column trace_context text null,
        add column erased_at timestamptz(3) null`);

    // With the id, by which rows are fetched: a fetch by sequence prunes no partition.
    this.addSql('drop index events_workspace_id_type_sequence_index');
    this.addSql(`
      create index events_type_index on events (workspace_id, type, sequence) include (id)`);
    this.addSql(`
      create index events_subject_index on events (workspace_id, subject, sequence) include (id, type)
      where subject is not null`);

    this.addSql(`
      alter table api_keys
        add column request_id text null,
        add column created_by uuid null`);
    // Of two creates with one request id, one waits for the other. The id is taken off a key that is too old.
    this.addSql(`
      create unique index api_keys_request_index on api_keys (created_by, request_id)
      where request_id is not null`);
    this.addSql(`
      create table api_key_old_secrets (
        secret_hash bytea not null primary key,
        api_key_id uuid not null,
        expires_at timestamptz(3) not null
      )`);
    this.addSql(
      'create index api_key_old_secrets_api_key_id_index on api_key_old_secrets (api_key_id)',
    );

    this.addSql(`
      create table audit_records (
        id uuid not null primary key,
        recorded_at timestamptz(3) not null,
        action text not null,
        api_key_id uuid null,
        request_id text not null,
        target_id text collate "C" not null,
        workspace_ids text[] not null,
        changes json not null
      )`);
    this.addSql('create index audit_records_target_id_index on audit_records (target_id, id)');
    this.addSql(
      'create index audit_records_workspace_ids_index on audit_records using gin (workspace_ids)',
    );
    this.addSql(`
      create function harbor_refuse_audit_change() returns trigger language plpgsql as $$
      begin
        raise exception 'the audit is append-only: % refused', tg_op using errcode = 'restrict_violation';
      end $$`);
    this.addSql(`
      create trigger audit_is_append_only before update or delete or truncate on audit_records
      for each statement execute function harbor_refuse_audit_change()`);

    // The one change that an event knows takes its content away. A column that comes later is guarded as well.
    this.addSql(`
      create function harbor_refuse_all_but_erasure() returns trigger language plpgsql as $$
      declare
        erased record := old;
      begin
        erased.payload := '{}';
        erased.payload_bytes := 2;
        erased.subject := null;
        erased.metadata := null;
        erased.erased_at := new.erased_at;
        if new.trace_context is null then
          erased.trace_context := null;
        end if;
        if old.erased_at is null and new.erased_at is not null and new::text = erased::text then
          return new;
        end if;
        raise exception 'events are immutable: UPDATE refused' using errcode = 'restrict_violation';
      end $$`);
    this.addSql('drop trigger events_are_immutable on events');
    this.addSql(`
      create trigger events_are_immutable before delete or truncate on events
      for each statement execute function harbor_refuse_event_change()`);
    this.addSql(`
      create trigger events_change_by_erasure before update on events
      for each row execute function harbor_refuse_all_but_erasure()`);
  }
}
