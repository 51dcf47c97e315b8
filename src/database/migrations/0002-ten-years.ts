import { type Migration, statements } from './migration.ts';

/**
 * What an event can say beyond its payload, retention, erasure, rotation of keys, and the audit. Columns are
 * nullable or have a constant, so that no row is rewritten and earlier programs go on.
 */
export const tenYears: Migration = {
  name: '0002-ten-years',
  worksFrom: '0001-events',
  steps: [
    statements(
      'workspaces',
      `
      alter table workspaces
        add column retention_days integer null,
        add column first_sequence bigint not null default 1,
        add column revision bigint not null default 0,
        add column deleted_at timestamptz(3) null`,
    ),
    statements(
      'events',
      `
      alter table events
        add column subject text collate "C" null,
        add column occurred_at timestamptz(6) null,
        add column metadata json null,
        add column api_key_id uuid null,
        add column trace_context text null,
        add column erased_at timestamptz(3) null`,
    ),
    // With the id, by which rows are fetched: a fetch by sequence prunes no partition.
    {
      name: 'type index',
      index: 'events_type_index',
      definition: 'on events (workspace_id, type, sequence) include (id)',
    },
    {
      name: 'subject index',
      index: 'events_subject_index',
      definition: `on events (workspace_id, subject, sequence) include (id, type)
        where subject is not null`,
    },
    statements('earlier type index', 'drop index events_workspace_id_type_sequence_index'),
    statements(
      'api keys',
      `
      alter table api_keys
        add column request_id text null,
        add column created_by uuid null`,
      // Of two creates with one request id, one waits for the other. The id is taken off a key that is too old.
      `
      create unique index api_keys_request_index on api_keys (created_by, request_id)
      where request_id is not null`,
      `
      create table api_key_old_secrets (
        secret_hash bytea not null primary key,
        api_key_id uuid not null,
        expires_at timestamptz(3) not null
      )`,
      'create index api_key_old_secrets_api_key_id_index on api_key_old_secrets (api_key_id)',
    ),
    statements(
      'audit',
      `
      create table audit_records (
        id uuid not null primary key,
        recorded_at timestamptz(3) not null,
        action text not null,
        api_key_id uuid null,
        request_id text not null,
        target_id text collate "C" not null,
        workspace_ids text[] not null,
        changes json not null
      )`,
      'create index audit_records_target_id_index on audit_records (target_id, id)',
      // In the order of the list, so that a page costs the same however many records there are.
      `
      create index audit_records_of_one_workspace_index on audit_records ((workspace_ids[1]), id)
      where cardinality(workspace_ids) = 1`,
      `
      create index audit_records_of_several_workspaces_index on audit_records (id)
      where cardinality(workspace_ids) > 1`,
      `
      create function harbor_refuse_audit_change() returns trigger language plpgsql as $$
      begin
        raise exception 'the audit is append-only: % refused', tg_op using errcode = 'restrict_violation';
      end $$`,
      `
      create trigger audit_is_append_only before update or delete or truncate on audit_records
      for each statement execute function harbor_refuse_audit_change()`,
    ),
    statements(
      'erasure',
      // The one change that an event knows takes its content away. A column that comes later is guarded as well.
      `
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
      end $$`,
      'drop trigger events_are_immutable on events',
      `
      create trigger events_are_immutable before delete or truncate on events
      for each statement execute function harbor_refuse_event_change()`,
      `
      create trigger events_change_by_erasure before update on events
      for each row execute function harbor_refuse_all_but_erasure()`,
    ),
  ],
};
