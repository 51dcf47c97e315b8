import type { Statement, StatementRunner } from '../../database/statements.ts';

/** An event whose delivery was given up. */
export interface FailedEvent {
  readonly uuid: string;
  readonly sequence: number;
}

/** A range of a log, and how much of it is wanted. */
export interface FailedRange {
  readonly after: number;
  readonly upTo: number;
  readonly limit: number;
}

/** Finds what was given up, as far back as deliveries are kept. */
export interface FailedStore {
  /** The first events of a range whose delivery to an endpoint has failed, and was not made good by a retry. */
  find(endpointId: string, range: FailedRange): Promise<FailedEvent[]>;
}

const findFailedStatement: Statement = {
  name: 'harbor_webhooks_find_failed',
  text: `
    select event_id as uuid, sequence::float8 as sequence from (
      select distinct on (sequence) sequence, event_id from webhook_attempts failed
      where endpoint_id = $1::uuid and outcome = 'failed' and sequence > $2::bigint and sequence <= $3::bigint
        and not exists (select from webhook_attempts later where later.window_id = failed.window_id
          and later.place = failed.place and later.attempt > failed.attempt and later.outcome = 'succeeded')
      order by sequence limit $4::int
    ) as found`,
};

const timeoutMs = 10_000;

export function createFailedStore(statements: StatementRunner): FailedStore {
  return {
    find: (endpointId, { after, upTo, limit }) =>
      statements.run(findFailedStatement, [endpointId, after, upTo, limit], timeoutMs),
  };
}
