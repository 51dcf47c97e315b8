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
    // Rounds of retention look at those alone of which something may be past.
    {
      name: 'retained workspaces',
      index: 'workspaces_retained_index',
      definition: `on workspaces (id)
        where retention_days is not null or first_sequence > 1 or deleted_at is not null`,
    },
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
    statements(
      'api keys',
      `
      alter table api_keys
        add column request_id text null,
        add column request_fingerprint bytea null,
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
  ],
};
