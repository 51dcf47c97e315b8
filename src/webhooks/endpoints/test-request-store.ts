import type { Statement, StatementRunner } from '../../database/statements.ts';
import { leaseOf, tokensOf } from '../delivery/room-statements.ts';

/** The place of a test among the requests that an endpoint has in flight. */
export interface TestRequestStore {
  /** Takes a place for as long as the request may last; false where the endpoint has no room for one more. */
  begin(endpointUuid: string, windowId: string, leaseMs: number): Promise<boolean>;
  /** Gives it back. One that is not given back ends with its lease. */
  end(windowId: string): Promise<void>;
}

/** A window without events: whoever takes up what a dead process has left gives the place back too. */
const beginStatement: Statement = {
  name: 'harbor_webhooks_begin_test',
  text: `
    with state as materialized (
      select states.endpoint_id, states.workspace_id, endpoints.max_in_flight - states.in_flight as room,
        ${tokensOf('endpoints.max_per_second', 'states')} as tokens
      from webhook_states states join webhook_endpoints endpoints
        on endpoints.id = states.endpoint_id and endpoints.workspace_id = states.workspace_id
      where states.endpoint_id = $1::uuid and endpoints.deleted_at is null
      for no key update of states
    ),
    used as (
      update webhook_states set in_flight = in_flight + 1, tokens = state.tokens - 1, tokens_at = clock_timestamp()
      from state where webhook_states.endpoint_id = state.endpoint_id
        and webhook_states.workspace_id = state.workspace_id and state.room >= 1 and state.tokens >= 1
      returning webhook_states.endpoint_id, webhook_states.workspace_id
    )
    insert into webhook_windows (id, workspace_id, cursor_id, endpoint_id, sequences, previous_sequence, leased_until,
      remaining)
    select $2::uuid, workspace_id, '00000000-0000-0000-0000-000000000000', endpoint_id, '{}', 0, ${leaseOf('$3')}, 1
    from used returning id`,
};

const endStatement: Statement = {
  name: 'harbor_webhooks_end_test',
  text: `
    with ended as (
      delete from webhook_windows where id = $1::uuid returning endpoint_id, workspace_id
    )
    update webhook_states set in_flight = greatest(0, in_flight - 1) from ended
    where webhook_states.endpoint_id = ended.endpoint_id and webhook_states.workspace_id = ended.workspace_id`,
};

const timeoutMs = 5_000;

export function createTestRequestStore(statements: StatementRunner): TestRequestStore {
  return {
    async begin(endpointUuid, windowId, leaseMs) {
      const values = [endpointUuid, windowId, leaseMs];
      return (await statements.run(beginStatement, values, timeoutMs)).length > 0;
    },
    async end(windowId) {
      await statements.run(endStatement, [windowId], timeoutMs);
    },
  };
}
