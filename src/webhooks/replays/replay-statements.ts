import type { Statement } from '../../database/statements.ts';
import { selectMs } from '../row-time.ts';

const columns = `
  cursors.id, cursors.endpoint_id, cursors.workspace_id, cursors.first_sequence::float8 as first_sequence,
  cursors.end_sequence::float8 as end_sequence, cursors.type_patterns, cursors.only_failed, cursors.max_per_second,
  cursors.state, least(cursors.position, cursors.end_sequence)::float8 as position,
  cursors.succeeded::float8 as succeeded, cursors.failed::float8 as failed, cursors.unfinished,
  ${selectMs('cursors.created_at', 'created_at')}, ${selectMs('cursors.ended_at', 'ended_at')}, cursors.api_key_id`;

/** The replay `$1`, or no row. */
export const findReplayStatement: Statement = {
  name: 'harbor_webhooks_find_replay',
  text: `select ${columns} from webhook_cursors cursors where id = $1::uuid and kind = 'replay'`,
};

/** Replays of the endpoint `$1`, the newest first, before `$2`; `$3` at the most. */
export const listReplaysStatement: Statement = {
  name: 'harbor_webhooks_list_replays',
  text: `
    select ${columns} from webhook_cursors cursors
    where endpoint_id = $1::uuid and id < $2::uuid and kind = 'replay' order by id desc limit $3::int`,
};

/** Replays of the workspace `$1` that run or are paused. */
export const countReplaysStatement: Statement = {
  name: 'harbor_webhooks_count_replays',
  text: `
    select count(*)::float8 as count from webhook_cursors
    where workspace_id = $1 and kind = 'replay' and state in ('running', 'paused')`,
};

/** Holds the replays of a workspace until the transaction ends, so that two creates do not both find room. */
export const holdReplaysStatement: Statement = {
  name: 'harbor_webhooks_hold_replays',
  text: `select pg_advisory_xact_lock(hashtextextended('webhook replays of ' || $1, 0))`,
};

/** The replay that the key `$1` has made by the request `$2`, with what it asked for, and whether that is still known. */
export const findReplayOfRequestStatement: Statement = {
  name: 'harbor_webhooks_find_replay_of_request',
  text: `
    select id, request_fingerprint, created_at > clock_timestamp() - interval '24 hours' as is_kept
    from webhook_cursors where api_key_id = $1::uuid and request_id = $2 for update`,
};

export const forgetReplayRequestStatement: Statement = {
  name: 'harbor_webhooks_forget_replay_request',
  text: `update webhook_cursors set request_id = null where id = $1::uuid`,
};

/** Makes a replay; one of an empty range is done at once. */
export const insertReplayStatement: Statement = {
  name: 'harbor_webhooks_insert_replay',
  text: `
    insert into webhook_cursors (id, workspace_id, endpoint_id, kind, state, position, first_sequence, end_sequence,
      type_patterns, only_failed, max_per_second, api_key_id, request_id, request_fingerprint, created_at, ended_at)
    select $1::uuid, $2::text, $3::uuid, 'replay', case when is_empty then 'done' else 'running' end, $4::bigint,
      $4::bigint + 1, $5::bigint, $6::text[], $7::boolean, $8::int, $9::uuid, $10::text, $11::bytea, now,
      case when is_empty then now end
    from (select $4::bigint >= $5::bigint as is_empty, clock_timestamp() as now) as facts`,
};

/** Locks the replay `$1` of an endpoint behind the endpoint's state, as everybody does; returns what it is then. */
export const lockReplayStatement: Statement = {
  name: 'harbor_webhooks_lock_replay',
  text: `
    with state as materialized (
      select states.endpoint_id from webhook_states states where states.endpoint_id = $2::uuid for no key update
    )
    select cursors.state from state join webhook_cursors cursors on cursors.endpoint_id = state.endpoint_id
    where cursors.id = $1::uuid and cursors.kind = 'replay' for no key update of cursors`,
};

/** Sets the state of the replay `$1` to `$2`; one that runs again with nothing left to do is done. */
export const setReplayStateStatement: Statement = {
  name: 'harbor_webhooks_set_replay_state',
  text: `
    update webhook_cursors set
      state = case when is_over then 'done' else $2::text end,
      ended_at = case when is_over or $2::text = 'cancelled' then clock_timestamp() end
    from (
      select id, $2::text = 'running' and position >= end_sequence and unfinished <= 0 as is_over
      from webhook_cursors where id = $1::uuid
    ) as facts
    where webhook_cursors.id = facts.id`,
};

/**
 * Lets what waits of the replay `$2` at the endpoint `$1` come at once where it is paused: what came due meanwhile was put off by
 * a minute, and nobody knows any more what that was. Locks the work before the state, as everybody does.
 */
export const hastenReplayWorkStatement: Statement = {
  name: 'harbor_webhooks_hasten_replay_work',
  text: `
    with work as materialized (
      select window_id, place, workspace_id from webhook_work
      where endpoint_id = $1::uuid and cursor_id = $2::uuid and not in_flight and not is_manual
        and due_at <= clock_timestamp() + interval '1 minute'
        and exists (select from webhook_cursors where id = $2::uuid and state = 'paused')
      order by window_id, place for no key update
    )
    update webhook_work set due_at = clock_timestamp() from work
    where webhook_work.window_id = work.window_id and webhook_work.place = work.place
      and webhook_work.workspace_id = work.workspace_id`,
};

/** Has the endpoint `$1` looked at for work at once. */
export const hastenReplayStatement: Statement = {
  name: 'harbor_webhooks_hasten_replay',
  text: `
    update webhook_states set next_work_at = clock_timestamp() where endpoint_id = $1::uuid`,
};
