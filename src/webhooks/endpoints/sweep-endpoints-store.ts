import type { Statement, StatementRunner } from '../../database/statements.ts';

/**
 * Takes away what nobody can see any more, some of it at a time: endpoints of deleted workspaces end like those that were
 * deleted by themselves, and what hangs on these, and replays that ended, goes when their deliveries are kept no more.
 */
export type SweepEndpoints = () => Promise<void>;

const timeoutMs = 10_000;
const atOnce = 100;

/** Their secrets go at once. */
const endOfDeletedWorkspacesStatement: Statement = {
  name: 'harbor_webhooks_end_of_deleted_workspaces',
  text: `
    with ended as (
      update webhook_endpoints set deleted_at = clock_timestamp(), touched_at = clock_timestamp(), headers = null
      where (id, workspace_id) in (
        select endpoints.id, endpoints.workspace_id from webhook_endpoints endpoints
        join workspaces on workspaces.id = endpoints.workspace_id
        where endpoints.deleted_at is null and workspaces.deleted_at is not null limit $1::int)
      returning id, workspace_id
    )
    delete from webhook_secrets using ended where webhook_secrets.endpoint_id = ended.id
      and webhook_secrets.workspace_id = ended.workspace_id`,
};

const forgetEndpointsStatement: Statement = {
  name: 'harbor_webhooks_forget_endpoints',
  text: `
    with over as materialized (
      select id, workspace_id from webhook_endpoints
      where deleted_at < clock_timestamp() - $2::int * interval '1 day' order by id limit $1::int
      for update skip locked
    ),
    work as (delete from webhook_work using over where webhook_work.endpoint_id = over.id),
    windows as (
      delete from webhook_windows using over where webhook_windows.endpoint_id = over.id
        and webhook_windows.workspace_id = over.workspace_id
    ),
    cursors as (delete from webhook_cursors using over where webhook_cursors.endpoint_id = over.id),
    states as (
      delete from webhook_states using over where webhook_states.endpoint_id = over.id
        and webhook_states.workspace_id = over.workspace_id
    ),
    secrets as (delete from webhook_secrets using over where webhook_secrets.endpoint_id = over.id)
    delete from webhook_endpoints using over where webhook_endpoints.id = over.id
      and webhook_endpoints.workspace_id = over.workspace_id`,
};

const forgetReplaysStatement: Statement = {
  name: 'harbor_webhooks_forget_replays',
  text: `
    delete from webhook_cursors where (id, workspace_id) in (
      select id, workspace_id from webhook_cursors
      where kind = 'replay' and ended_at < clock_timestamp() - $2::int * interval '1 day'
        and not exists (select from webhook_work work where work.endpoint_id = webhook_cursors.endpoint_id
          and work.cursor_id = webhook_cursors.id)
      order by id limit $1::int for update skip locked)`,
};

/** @param logDays for which deliveries are kept after their end. */
export function createSweepEndpoints(statements: StatementRunner, logDays: number): SweepEndpoints {
  return async () => {
    await statements.run(endOfDeletedWorkspacesStatement, [atOnce], timeoutMs);
    await statements.run(forgetEndpointsStatement, [atOnce, logDays], timeoutMs);
    await statements.run(forgetReplaysStatement, [atOnce, logDays], timeoutMs);
  };
}
