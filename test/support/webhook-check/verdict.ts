import type { OwnPostgres } from '../own-postgres.ts';
import type { Arrivals } from './arrivals.ts';
import { rareType } from './event-source.ts';

export type Ordering = 'none' | 'workspace' | 'subject';

/** An endpoint of the check, and the path that it is sent to at. */
export interface CheckedEndpoint {
  readonly path: string;
  readonly ordering: Ordering;
  /** It wants the rare type alone. */
  readonly isChoosy: boolean;
}

export interface LoggedEvent {
  readonly sequence: number;
  readonly type: string;
  readonly subject: string | null;
}

/** What became of the events that an endpoint was to be sent. */
export interface EndpointVerdict {
  readonly expected: number;
  readonly missing: number;
  /** Accepted, though it never asked for them. */
  readonly foreign: number;
  /** Accepted before an event that had to come before them. */
  readonly outOfOrder: number;
  readonly mistaken: number;
  /** The first of what is foreign or mistaken. */
  readonly examples: readonly string[];
  readonly duplicates: number;
}

export function readLog({ query }: OwnPostgres): Promise<LoggedEvent[]> {
  return query(`select sequence::float8 as sequence, type, subject from events
    where type like 'check.%' order by sequence`);
}

/**
 * What is not as it must be when nothing is left to deliver: each delivery has ended once, and was counted once; nobody counts
 * one that is still on its way. A line for each endpoint where that does not hold.
 */
export async function readMiscounts({ query }: OwnPostgres): Promise<string[]> {
  const rows = await query<{ line: string }>(`
    select format('%s: succeeded %s, failed %s, ended %s in %s requests, unfinished %s, parked %s, open windows %s, in flight %s',
      url, succeeded, failed, ended, ends, unfinished, parked, open_windows, in_flight) as line
    from webhook_cursors cursors
    join webhook_states states using (endpoint_id) join webhook_endpoints endpoints on endpoints.id = endpoint_id
    cross join lateral (
      select count(*) as ends, count(distinct (window_id, place)) as ended from webhook_attempts attempts
      where attempts.cursor_id = cursors.id and outcome in ('succeeded', 'failed')
    ) as attempts
    where (succeeded + failed, ends, unfinished, parked, open_windows, in_flight) <> (ended, ended, 0, 0, 0, 0)`);
  return rows.map(({ line }) => line);
}

export function isWanted({ isChoosy }: CheckedEndpoint, { type }: LoggedEvent): boolean {
  return !isChoosy || type === rareType;
}

export function judge(
  endpoint: CheckedEndpoint,
  log: readonly LoggedEvent[],
  { accepted, mistaken, mistakes, duplicates }: Arrivals,
): EndpointVerdict {
  const wanted = new Map(
    log.filter((event) => isWanted(endpoint, event)).map((event) => [event.sequence, event]),
  );
  const unwanted = [...accepted].filter((sequence) => !wanted.has(sequence));
  const foreign = unwanted.length;
  return {
    expected: wanted.size,
    missing: wanted.size - (accepted.size - foreign),
    foreign,
    outOfOrder: countOutOfOrder(endpoint.ordering, wanted, accepted),
    mistaken,
    examples: [
      ...unwanted.slice(0, 5).map((sequence) => `${sequence}: not asked for`),
      ...mistakes,
    ],
    duplicates,
  };
}

/** @param accepted in the order of their coming. */
function countOutOfOrder(
  ordering: Ordering,
  wanted: ReadonlyMap<number, LoggedEvent>,
  accepted: Iterable<number>,
): number {
  const highest = new Map<string, number>();
  let count = 0;
  for (const sequence of accepted) {
    const queue = queueOf(ordering, wanted.get(sequence));
    if (queue === undefined) continue;
    if (sequence < (highest.get(queue) ?? 0)) count++;
    else highest.set(queue, sequence);
  }
  return count;
}

/** Events of the same queue keep their order; undefined for those that keep none. */
function queueOf(ordering: Ordering, event: LoggedEvent | undefined): string | undefined {
  if (ordering === 'none') return undefined;
  if (ordering === 'workspace') return 'all';
  return event?.subject ?? undefined;
}
