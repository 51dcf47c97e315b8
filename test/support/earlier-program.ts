/**
 * What a program of before partitions leaves in a database and sends to it, word for word: its schema, and the
 * statements of a create, of a retrieve and of a page.
 */
export const earlierSchema = `
  create table harbor_migrations (
    id serial primary key,
    name varchar(255),
    executed_at timestamptz default current_timestamp
  );
  insert into harbor_migrations (name) values ('0001-events');
  create table workspaces (
    id text collate "C" not null primary key,
    display_name text not null,
    last_sequence bigint not null default 0,
    last_event_at timestamptz(3) null,
    created_at timestamptz(3) not null
  ) with (fillfactor = 50);
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
  );
  create index events_workspace_id_type_sequence_index on events (workspace_id, type, sequence);
  create table idempotency_keys (
    workspace_id text collate "C" not null,
    key text collate "C" not null,
    fingerprint bytea not null,
    event_id uuid not null,
    created_at timestamptz(3) not null,
    expires_at timestamptz(3) not null,
    primary key (workspace_id, key)
  );
  create index idempotency_keys_expires_at_index on idempotency_keys (expires_at);
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
  );
  create function harbor_refuse_event_change() returns trigger language plpgsql as $$
  begin
    if tg_op = 'DELETE' and current_setting('harbor.retention', true) = 'on' then
      return null;
    end if;
    raise exception 'events are immutable: % refused', tg_op using errcode = 'restrict_violation';
  end $$;
  create trigger events_are_immutable before update or delete or truncate on events
  for each statement execute function harbor_refuse_event_change();
`;

export const earlierAppend = {
  name: 'harbor_append',
  text: `
    with input as materialized (
      select *, clock_timestamp() as at
      from unnest(
        $1::uuid[], $2::text[], $3::text[], $4::json[], $5::int[], $6::text[], $7::bytea[], $8::bigint[]
      ) with ordinality
        as t (id, workspace_id, type, payload, payload_bytes, key, fingerprint, turn, place)
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
        input.turn, input.place,
        claimed.event_id as held_by, claimed.fingerprint, claimed.expires_at,
        claimed.event_id is null or claimed.event_id = input.id as is_new
      from input
      left join claimed on claimed.workspace_id = input.workspace_id and claimed.key = input.key
    ),
    locked as materialized (
      select id from workspaces
      where id in (select workspace_id from judged where is_new)
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
      insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
      select judged.id, judged.workspace_id,
        bumped.base + row_number() over (partition by judged.workspace_id order by judged.turn),
        judged.type, judged.payload, judged.payload_bytes, bumped.last_event_at
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

const eventColumns = `id, workspace_id, type, payload::text as payload_json,
  (extract(epoch from created_at) * 1000)::float8 as created_at_ms, sequence::float8 as sequence`;

export const earlierRead = {
  name: 'harbor_read_events',
  text: `select ${eventColumns} from events where id = any($1::uuid[])`,
};

export const earlierList = {
  name: 'harbor_list_asc',
  text: `
    select ${eventColumns}, rows_found::float8 as rows_found from (
      select rows.*, count(*) over () as rows_found, sum(payload_bytes) over (
        order by sequence asc rows unbounded preceding) - payload_bytes as bytes_before
      from (
        select * from events
        where workspace_id = $1 and sequence > $2::bigint and sequence <= $3::bigint
        order by sequence asc limit $4::int
      ) as rows
    ) as sized
    where bytes_before < $5::bigint order by sized.sequence asc`,
};
