import type { Statement } from '../database/statements.ts';

/**
 * Up to `$3` ids of records before the id `$2`, the newest first: those of exactly one of the workspaces `$1`,
 * and all of several workspaces, which may be among them or not. Reads no more than `$3` rows of each
 * workspace, and as many of several ones.
 */
export const listOfWorkspacesStatement: Statement = {
  name: 'harbor_list_audit_of_workspaces',
  text: `
    select id from (
      select single.id from unnest($1::text[]) as own (id) cross join lateral (
        select audit_records.id from audit_records
        where cardinality(workspace_ids) = 1 and workspace_ids[1] = own.id
          and audit_records.id < $2::uuid
        order by audit_records.id desc limit $3
      ) as single
      union all (
        select id from audit_records where cardinality(workspace_ids) > 1 and id < $2::uuid
        order by id desc limit $3
      )
    ) as candidates order by id desc limit $3`,
};
