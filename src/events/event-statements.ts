import type { Statement } from '../database/statements.ts';

/**
 * Which of the workspaces in `$1` exist, and whether an append would have to wait for their counter. Waits
 * for nobody; two who look at the same time do not take each other for somebody who appends.
 */
export const inspectCountersStatement: Statement = {
  name: 'harbor_inspect_counters',
  text: `
    with free as materialized (
      select id from workspaces where id = any($1::text[]) for share skip locked
    )
    select workspaces.id, free.id is not null as is_free
    from workspaces left join free on free.id = workspaces.id
    where workspaces.id = any($1::text[]) and workspaces.deleted_at is null`,
};

/**
 * Deletes up to `$1` idempotency keys that had expired when the statement began, and returns how many.
 *
 * Never waits for a lock: a key that is being claimed again is left for the next round. A claim that
 * meets a key being deleted waits for this statement, and then inserts it afresh.
 */
export const sweepStatement: Statement = {
  name: 'harbor_sweep_keys',
  text: `
    with expired as materialized (
      select workspace_id, key from idempotency_keys
      where expires_at <= statement_timestamp()
      order by expires_at limit $1::int for update skip locked
    ),
    deleted as (
      delete from idempotency_keys as held using expired
      where held.workspace_id = expired.workspace_id and held.key = expired.key
        and held.expires_at <= statement_timestamp()
      returning 1
    )
    select count(*)::float8 as count from deleted`,
};
