import type { Statement, StatementRunner } from '../../database/statements.ts';
import { idOf } from '../../type-id.ts';
import { isFor, type Matcher } from '../delivery/target.ts';
import type { ReplayRange } from './replay-range.ts';

/** What a replay would send, counted. */
export interface Matching {
  readonly count: number;
  /** The count ended before the range did. */
  readonly isAtLeast: boolean;
}

export interface MatchingQuery extends ReplayRange {
  readonly workspaceId: string;
  /** A UUID. */
  readonly endpointId: string;
  readonly onlyFailed: boolean;
  readonly matcher: Matcher;
  /** Ends soon after it has counted so many. */
  readonly countMax?: number;
}

/** Counts the events that a replay would send. @throws DatabaseUnavailable */
export type CountMatching = (query: MatchingQuery) => Promise<Matching>;

const countMaxUsual = 1_000_000;
/** In one statement: some tens of milliseconds. */
const sequencesAtOnce = 50_000;
const countMsMax = 3_000;
const timeoutMs = 5_000;

/*
 * Counted by what decides whether an event is sent, so that it is decided where deliveries decide it: its type, and of the
 * service's own events the endpoint that they are about.
 */
const groups = `
    select events.type, case when events.type like 'harbor.%' then events.payload ->> 'endpoint_id' end as about,
      count(*)::float8 as count
    from events where events.workspace_id = $1 and events.sequence > $2::bigint and events.sequence <= $3::bigint
      and ($4::text is null or events.subject = $4)`;

const countStatement: Statement = {
  name: 'harbor_webhooks_count_matching',
  text: `${groups} group by 1, 2`,
};

const countFailedStatement: Statement = {
  name: 'harbor_webhooks_count_failed',
  text: `${groups}
      and exists (select from webhook_attempts failed
        where failed.endpoint_id = $5::uuid and failed.sequence = events.sequence and failed.outcome = 'failed'
          and not exists (select from webhook_attempts later where later.window_id = failed.window_id
            and later.place = failed.place and later.attempt > failed.attempt and later.outcome = 'succeeded'))
    group by 1, 2`,
};

export function createCountMatching(statements: StatementRunner): CountMatching {
  return async ({ workspaceId, endpointId, low, high, onlyFailed, matcher, ...query }) => {
    const { countMax = countMaxUsual } = query;
    const shownId = idOf('whe', endpointId);
    const endsAtMs = performance.now() + countMsMax;
    let count = 0;
    for (let from = low; from < high; from += sequencesAtOnce) {
      if (count >= countMax || performance.now() > endsAtMs) {
        return { count: Math.min(count, countMax), isAtLeast: true };
      }
      const until = Math.min(high, from + sequencesAtOnce);
      const values = [workspaceId, from, until, matcher.target.subject ?? null];
      const rows = onlyFailed
        ? await statements.run<GroupRow>(countFailedStatement, [...values, endpointId], timeoutMs)
        : await statements.run<GroupRow>(countStatement, values, timeoutMs);
      for (const row of rows) if (isMatch(row)) count += row.count;
    }
    return { count: Math.min(count, countMax), isAtLeast: count > countMax };

    function isMatch({ type, about }: GroupRow): boolean {
      const { subject } = matcher.target;
      return isFor(matcher, shownId, { type, subject, payload: { endpoint_id: about } });
    }
  };
}

interface GroupRow {
  readonly type: string;
  readonly about: string | null;
  readonly count: number;
}
