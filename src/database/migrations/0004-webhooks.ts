import { type Migration, statements } from './migration.ts';

/** Webhook endpoints, their secrets, and what is on its way to them. */
export const webhooks: Migration = {
  name: '0004-webhooks',
  worksFrom: '0003-partitions',
  steps: [
    statements(
      'tables',
      `
      create table webhook_endpoints (
        id uuid not null,
        workspace_id text collate "C" not null,
        url text not null,
        description text not null,
        type_patterns text[] not null,
        subject text collate "C" null,
        header_names text[] not null,
        headers bytea null,
        max_in_flight integer not null,
        max_per_second integer null,
        timeout_ms integer not null,
        ordering text not null,
        status text not null,
        disabled_reason text null,
        status_changed_at timestamptz(3) not null,
        api_key_id uuid null,
        request_id text null,
        request_fingerprint bytea null,
        created_at timestamptz(3) not null,
        updated_at timestamptz(3) not null,
        deleted_at timestamptz(3) null,
        touched_at timestamptz not null default clock_timestamp(),
        primary key (id, workspace_id)
      )`,
      `
      create index webhook_endpoints_workspace_id_index on webhook_endpoints (workspace_id, id)`,
      // By which processes find what has changed: whoever changes an endpoint, its secrets or its replays sets it to
      // clock_timestamp() in the same transaction.
      'create index webhook_endpoints_touched_at_index on webhook_endpoints (touched_at)',
      `
      create unique index webhook_endpoints_request_index on webhook_endpoints (api_key_id, request_id)
      where request_id is not null`,
      `
      create table webhook_secrets (
        id uuid not null,
        workspace_id text collate "C" not null,
        endpoint_id uuid not null,
        ciphertext bytea not null,
        created_at timestamptz(3) not null,
        expires_at timestamptz(3) null,
        primary key (id, workspace_id)
      )`,
      'create index webhook_secrets_endpoint_id_index on webhook_secrets (endpoint_id)',
      // Changed with every batch of requests: half-empty pages keep that heap-only, as long as nothing that is
      // indexed changes, which next_work_at does only when a delivery fails.
      `
      create table webhook_states (
        endpoint_id uuid not null,
        workspace_id text collate "C" not null,
        in_flight integer not null default 0,
        tokens double precision not null default 0,
        tokens_at timestamptz not null default '-infinity',
        failures integer not null default 0,
        failing_since timestamptz(3) null,
        circuit_open_until timestamptz(3) null,
        circuit_wait_ms integer not null default 0,
        hold_until timestamptz(3) null,
        next_work_at timestamptz(3) null,
        last_success_at timestamptz(3) null,
        last_failure_at timestamptz(3) null,
        told_failing_at timestamptz(3) null,
        primary key (endpoint_id, workspace_id)
      ) with (fillfactor = 50)`,
      `
      create index webhook_states_next_work_at_index on webhook_states (next_work_at)
      where next_work_at is not null`,
      `
      create table webhook_cursors (
        id uuid not null,
        workspace_id text collate "C" not null,
        endpoint_id uuid not null,
        kind text not null,
        state text not null,
        position bigint not null,
        first_sequence bigint not null,
        end_sequence bigint null,
        previous_sequence bigint not null default 0,
        type_patterns text[] not null,
        only_failed boolean not null default false,
        max_per_second integer null,
        tokens double precision not null default 0,
        tokens_at timestamptz not null default '-infinity',
        unfinished integer not null default 0,
        parked integer not null default 0,
        open_windows integer not null default 0,
        succeeded bigint not null default 0,
        failed bigint not null default 0,
        api_key_id uuid null,
        request_id text null,
        request_fingerprint bytea null,
        created_at timestamptz(3) not null,
        ended_at timestamptz(3) null,
        primary key (id, workspace_id)
      ) with (fillfactor = 50)`,
      'create index webhook_cursors_endpoint_id_index on webhook_cursors (endpoint_id, id)',
      `
      create index webhook_cursors_replays_index on webhook_cursors (workspace_id)
      where kind = 'replay' and state in ('running', 'paused')`,
      `
      create unique index webhook_cursors_request_index on webhook_cursors (api_key_id, request_id)
      where request_id is not null`,
      // As long as a window is in flight; none of its columns is indexed but the key.
      `
      create table webhook_windows (
        id uuid not null,
        workspace_id text collate "C" not null,
        cursor_id uuid not null,
        endpoint_id uuid not null,
        sequences bigint[] not null,
        previous_sequence bigint not null,
        leased_until timestamptz not null,
        remaining integer not null,
        primary key (id, workspace_id)
      ) with (fillfactor = 50)`,
      // A delivery that has failed and waits, or waits behind another of its lane (due_at is infinity then); due_at is also
      // until when it is leased to whoever sends it. attempts counts the requests that were begun, and is what tells a
      // late result from a new one. tries counts the failures that the schedule knows of. One that a caller has asked for once
      // more is manual: it stands outside of order, and of what its cursor counts.
      `
      create table webhook_work (
        window_id uuid not null,
        place integer not null,
        workspace_id text collate "C" not null,
        cursor_id uuid not null,
        endpoint_id uuid not null,
        event_id uuid not null,
        lane text collate "C" null,
        sequence bigint not null,
        previous_sequence bigint not null,
        attempts integer not null,
        tries integer not null,
        in_flight boolean not null default false,
        is_manual boolean not null default false,
        due_at timestamptz(3) not null,
        primary key (window_id, place, workspace_id)
      )`,
      'create index webhook_work_due_at_index on webhook_work (endpoint_id, due_at)',
      `
      create index webhook_work_lane_index on webhook_work (cursor_id, lane, sequence)
      where lane is not null`,
      // A row for each request that was sent, and never changed.
      `
      create table webhook_attempts (
        window_id uuid not null,
        place integer not null,
        attempt integer not null,
        workspace_id text collate "C" not null,
        cursor_id uuid not null,
        endpoint_id uuid not null,
        event_id uuid not null,
        sequence bigint not null,
        previous_sequence bigint not null,
        started_at timestamptz(3) not null,
        duration_ms integer not null,
        status smallint null,
        error text null,
        response bytea null,
        outcome text not null,
        primary key (window_id, place, attempt, workspace_id)
      ) partition by range (window_id)`,
      // What belongs to no week that has a partition; those are made as time goes by.
      'create table webhook_attempts_rest partition of webhook_attempts default',
      'create index webhook_attempts_endpoint_id_index on webhook_attempts (endpoint_id, window_id, place)',
      // By which the deliveries of an event are found. Events come in the order of their ids but in replays: so it costs
      // next to nothing, where a tree would cost a quarter of what a row does.
      `
      create index webhook_attempts_event_id_index on webhook_attempts using brin (event_id)
      with (pages_per_range = 32, autosummarize = on)`,
      // By which a replay finds what was given up.
      `
      create index webhook_attempts_failed_index on webhook_attempts (endpoint_id, sequence)
      where outcome = 'failed'`,
    ),
  ],
};
