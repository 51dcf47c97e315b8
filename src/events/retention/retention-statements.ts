import type { Statement } from '../../database/statements.ts';

/** Whose events retention is, or was, past. It is the predicate of an index: the others are never looked at. */
const isRetained = '(retention_days is not null or first_sequence > 1 or deleted_at is not null)';

/**
 * Where the floors of some of the workspaces in `retaining` belong, of those whose first kept event is past by the
 * database's clock. Times never decrease along a log, so that halving it from the floor on finds the place.
 */
const placed = `
  aged as materialized (
    select *, statement_timestamp() - retention_days * interval '24 hours' as past from retaining
    where first_sequence <= last_sequence and exists (
      select from events where workspace_id = retaining.id and sequence = first_sequence
        and created_at < statement_timestamp() - retention_days * interval '24 hours'
    )
  ),
  placed as materialized (
    select aged.id, aged.retention_days, place.high as first_sequence
    from aged cross join lateral (
      with recursive search (low, high) as (
        select aged.first_sequence, aged.last_sequence + 1
        union all
        select case when is_past then middle else low end, case when is_past then high else middle end
        from (
          select low, high, middle, (
            select created_at < aged.past from events
            where workspace_id = aged.id and sequence = middle
          ) as is_past
          from (select low, high, (low + high) / 2 as middle from search where high - low > 1) as halved
        ) as judged
      )
      select high from search order by high - low limit 1
    ) as place
  )`;

/** Unless somebody has given the workspace another retention since, or deleted it. */
const isStillSo = `workspaces.retention_days = placed.retention_days and workspaces.deleted_at is null`;

/**
 * Moves the floors of up to `$2` workspaces after `$1`, by id, and returns how far it has come (null: there were none) and
 * the workspaces whose floor it has left, because somebody held their row: it waits for nobody, and nobody for long.
 */
export const moveFloorsStatement: Statement = {
  name: 'harbor_move_floors',
  text: `
    with retaining as materialized (
      select id, first_sequence, last_sequence, retention_days from workspaces
      where ${isRetained} and retention_days is not null and deleted_at is null and id > $1
      order by id limit $2::int
    ), ${placed},
    locked as materialized (
      select workspaces.id, placed.first_sequence
      from workspaces join placed on placed.id = workspaces.id where ${isStillSo}
      order by workspaces.id for no key update of workspaces skip locked
    ),
    moved as (
      update workspaces set first_sequence = greatest(workspaces.first_sequence, locked.first_sequence)
      from locked where workspaces.id = locked.id returning workspaces.id
    )
    select (select max(id) from retaining) as last_id,
      array(select id from placed except select id from moved) as left_out`,
};

/** As `moveFloorsStatement`, of one workspace, for whose row it waits. */
export const moveFloorStatement: Statement = {
  name: 'harbor_move_floor',
  text: `
    with retaining as materialized (
      select id, first_sequence, last_sequence, retention_days from workspaces
      where id = $1 and retention_days is not null and deleted_at is null
    ), ${placed}
    update workspaces set first_sequence = greatest(workspaces.first_sequence, placed.first_sequence)
    from placed where workspaces.id = placed.id and ${isStillSo}`,
};

/** Up to `$2` workspaces after `$1`, by id, of whose events some rows may be there that nobody reads any more. */
export const listRetainedStatement: Statement = {
  name: 'harbor_list_retained',
  text: `
    select id, first_sequence::float8 as first_sequence, deleted_at is not null as is_deleted
    from workspaces where ${isRetained} and id > $1 order by id limit $2::int`,
};

/** The longest time for which any workspace keeps its events, in days (null: one keeps them for ever), and the time. */
export const termsStatement: Statement = {
  name: 'harbor_retention_terms',
  text: `
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms, case when not exists (
      select from workspaces where retention_days is null and deleted_at is null
    ) then (select coalesce(max(retention_days), 0) from workspaces where deleted_at is null) end as days`,
};

/**
 * Makes a transaction walk indexes, and never read or sort a whole partition: what a plan is made with are averages, and
 * here one workspace may have a million times as much as another, or nothing at all where much is expected.
 */
export const walkIndexesStatement: Statement = {
  name: 'harbor_walk_indexes',
  text: `
    select set_config(name, 'off', true) from unnest(array['enable_seqscan', 'enable_bitmapscan',
      'enable_sort', 'enable_incremental_sort', 'enable_hashjoin', 'enable_mergejoin']) as names (name)`,
};

/** Lets the transaction delete events, and takes the turn of those who do; false: somebody else has it. */
export const beginDeletingStatement: Statement = {
  name: 'harbor_begin_deleting',
  text: `
    select pg_try_advisory_xact_lock($1::bigint) as is_mine,
      set_config('harbor.retention', 'on', true)`,
};

/**
 * Deletes events of the workspaces `$1` that have a lower sequence than its floor in `$2` and an id from `$3` on, `$4` of
 * them at the most, and returns how many.
 */
export const deletePastStatement: Statement = {
  name: 'harbor_delete_past',
  text: `
    with past as materialized (
      select found.id, found.workspace_id
      from unnest($1::text[], $2::bigint[]) as wanted (workspace_id, first_sequence)
      cross join lateral (
        select id, workspace_id from events
        where workspace_id = wanted.workspace_id and sequence < wanted.first_sequence and id >= $3::uuid
        order by sequence limit $4::int
      ) as found
      limit $4::int
    ),
    deleted as (
      delete from events using past
      where events.id = past.id and events.workspace_id = past.workspace_id returning 1
    )
    select count(*)::float8 as count from deleted`,
};

/**
 * Whether an event with an id from `$1` on and below `$2` is kept: looks at the newest one of each workspace there, and at no
 * more workspaces than it takes to find one.
 */
export const isKeptStatement: Statement = {
  name: 'harbor_is_kept',
  text: `
    with recursive newest (workspace_id, sequence) as (
      (
        select workspace_id, sequence from events where id >= $1::uuid and id < $2::uuid
        order by workspace_id desc, sequence desc limit 1
      )
      union all
      select next.workspace_id, next.sequence from newest cross join lateral (
        select workspace_id, sequence from events
        where id >= $1::uuid and id < $2::uuid and workspace_id < newest.workspace_id
        order by workspace_id desc, sequence desc limit 1
      ) as next
    )
    select exists (
      select from newest join workspaces on workspaces.id = newest.workspace_id
      where workspaces.deleted_at is null and newest.sequence >= workspaces.first_sequence
    ) as is_kept`,
};

/** Deletes up to `$2` idempotency keys of the workspace `$1`, and returns how many. */
export const deleteKeysStatement: Statement = {
  name: 'harbor_delete_keys',
  text: `
    with deleted as (
      delete from idempotency_keys where workspace_id = $1 and key in (
        select key from idempotency_keys where workspace_id = $1 order by key limit $2::int
      ) returning 1
    )
    select count(*)::float8 as count from deleted`,
};

/** Deletes the workspace `$1`, which was deleted, once nothing is left of it; its id is free then. */
export const deleteWorkspaceStatement: Statement = {
  name: 'harbor_delete_workspace',
  text: `
    delete from workspaces where id = $1
      and deleted_at < statement_timestamp() - interval '1 minute'
      and not exists (select from events where workspace_id = $1)
      and not exists (select from idempotency_keys where workspace_id = $1)
    returning id`,
};
