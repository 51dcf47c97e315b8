import type { Statement } from '../../database/statements.ts';
import type { InTransaction } from '../../database/transaction.ts';
import { appendOwnEvent, type Event } from '../../events/index.ts';
import { type ToldRow, toOwnEvent } from './own-event.ts';
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
  };
}
