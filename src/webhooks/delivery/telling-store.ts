import type { Statement } from '../../database/statements.ts';
import type { InTransaction } from '../../database/transaction.ts';
import { appendOwnEvent, type Event } from '../../events/index.ts';
import { idOf } from '../../type-id.ts';
import { stateAfter } from './room-statements.ts';
import type { DeliverySchedule } from './schedule.ts';

/** Why an endpoint is given up: it answered 410, or with nothing but failures for too long. */
export type DisabledReason = 'gone' | 'failing';

/**
 * Changes of endpoints that their workspaces are told of, by an event in their log: the change and the event are on disk
 * together, or neither. All return undefined where there is nothing to change (any more), and throw EventWorkspaceMissing,
 * AppendContended, DatabaseUnavailable, DatabaseContended.
 */
export interface TellingStore {
  disable(endpointId: string, reason: DisabledReason): Promise<Event | undefined>;
  tellFailing(endpointId: string): Promise<Event | undefined>;
  tellRecovered(endpointId: string): Promise<Event | undefined>;
  /** Takes a cursor past what retention has taken from before it. */
  skipExpired(cursorId: string): Promise<Skipped | undefined>;
}

export interface Skipped {
  readonly event: Event | undefined;
  readonly position: number;
}

const disableStatement: Statement = {
  name: 'harbor_webhooks_disable',
  text: `
    update webhook_endpoints set status = 'disabled', disabled_reason = $2::text,
      status_changed_at = clock_timestamp(), touched_at = clock_timestamp()
    where id = $1::uuid and status = 'enabled' and deleted_at is null
    returning workspace_id, url, clock_timestamp()::text as at`,
};

const tellFailingStatement: Statement = {
  name: 'harbor_webhooks_tell_failing',
  text: `
    update webhook_states states set told_failing_at = clock_timestamp() from webhook_endpoints endpoints
    where states.endpoint_id = $1::uuid and endpoints.id = states.endpoint_id
      and endpoints.workspace_id = states.workspace_id and endpoints.deleted_at is null
      and told_failing_at is null
      and failing_since <= clock_timestamp() - $2::float8 * interval '1 millisecond'
    returning states.workspace_id, endpoints.url, clock_timestamp()::text as at,
      (extract(epoch from failing_since) * 1000)::float8 as since_ms`,
};

const tellRecoveredStatement: Statement = {
  name: 'harbor_webhooks_tell_recovered',
  text: `
    update webhook_states states set told_failing_at = null from webhook_endpoints endpoints
    where states.endpoint_id = $1::uuid and endpoints.id = states.endpoint_id
      and endpoints.workspace_id = states.workspace_id and endpoints.deleted_at is null
      and told_failing_at is not null and failing_since is null
    returning states.workspace_id, endpoints.url, clock_timestamp()::text as at`,
};

const skipExpiredStatement: Statement = {
  name: 'harbor_webhooks_skip_expired',
  text: `
    with skipped as materialized (
      select cursors.id, cursors.workspace_id, cursors.position as was,
        least(workspaces.first_sequence - 1, cursors.end_sequence) as goal
      from webhook_cursors cursors join workspaces on workspaces.id = cursors.workspace_id
      where cursors.id = $1::uuid and cursors.state = 'running'
      for no key update of cursors
    )
    update webhook_cursors set position = goal, ${stateAfter('goal', 'unfinished')}
    from skipped join webhook_endpoints endpoints on endpoints.workspace_id = skipped.workspace_id
    where webhook_cursors.id = skipped.id and webhook_cursors.workspace_id = skipped.workspace_id
      and endpoints.id = webhook_cursors.endpoint_id and was < goal
    returning webhook_cursors.workspace_id, webhook_cursors.endpoint_id, endpoints.url, clock_timestamp()::text as at,
      kind, was::float8 as was, goal::float8 as goal`,
};

interface ToldRow {
  readonly workspace_id: string;
  readonly url: string;
  readonly at: string;
}

export function createTellingStore(
  inTransaction: InTransaction,
  { tellAfterMs }: DeliverySchedule,
): TellingStore {
  /** Changes an endpoint, and tells of it what `payloadOf` says besides its id and URL. */
  const change = <Row extends ToldRow>(
    name: string,
    {
      endpointId,
      statement,
      values,
    }: { endpointId: string; statement: Statement; values: unknown[] },
    payloadOf: (row: Row) => Record<string, string | number> = () => ({}),
  ) =>
    inTransaction(async (tx) => {
      const [row] = await tx.run<Row>(statement, [endpointId, ...values]);
      if (row === undefined) return undefined;
      return appendOwnEvent(tx, toOwnEvent(name, { endpointId, row, payload: payloadOf(row) }));
    });

  return {
    disable: (endpointId, reason) =>
      change('disabled', { endpointId, statement: disableStatement, values: [reason] }, () => ({
        reason,
      })),

    tellFailing: (endpointId) =>
      change<ToldRow & { readonly since_ms: number }>(
        'failing',
        { endpointId, statement: tellFailingStatement, values: [tellAfterMs] },
        ({ since_ms }) => ({ failing_since: new Date(since_ms).toISOString() }),
      ),

    tellRecovered: (endpointId) =>
      change('recovered', { endpointId, statement: tellRecoveredStatement, values: [] }),

    skipExpired: (cursorId) =>
      inTransaction(async (tx) => {
        const [row] = await tx.run<SkippedRow>(skipExpiredStatement, [cursorId]);
        if (row === undefined) return undefined;
        const payload = {
          first_sequence: row.was + 1,
          last_sequence: row.goal,
          ...(row.kind === 'replay' && { replay_id: idOf('rpl', cursorId) }),
        };
        const told = { endpointId: row.endpoint_id, row, payload };
        const event = await appendOwnEvent(tx, toOwnEvent('events_expired', told));
        return { event, position: row.goal };
      }),
  };
}

interface SkippedRow extends ToldRow {
  readonly endpoint_id: string;
  readonly kind: 'live' | 'replay';
  readonly was: number;
  readonly goal: number;
}

interface Told {
  readonly endpointId: string;
  readonly row: ToldRow;
  readonly payload: Record<string, string | number>;
}

/** The change happens once, at its time: with that the event's key is another one for each. */
function toOwnEvent(name: string, { endpointId, row, payload }: Told) {
  return {
    workspaceId: row.workspace_id,
    type: `harbor.webhook_endpoint.${name}`,
    payload: { endpoint_id: idOf('whe', endpointId), url: row.url, ...payload },
    key: `webhook_endpoint.${name} ${endpointId} ${row.at}`,
  } as const;
}
