import type { Event } from '../event.ts';
import { findMatching, type SearchedLog } from './entry-search.ts';
import { type EventFilter, isEverything } from './event-filter.ts';
import type { EventLogStore } from './event-log-store.ts';
import type { LogState } from './log-place.ts';
import { type LogRange, restAfter } from './log-range.ts';

/** The first events of a range that pass a filter. */
export interface MatchingEvents {
  readonly events: readonly Event[];
  /** What was not looked through: it may hold more, also where there are no events. Undefined: nothing. */
  readonly rest: LogRange | undefined;
  /** What the log's workspace said when the events were read; undefined where there are none. */
  readonly state: LogState | undefined;
}

export interface MatchingQuery {
  readonly range: LogRange;
  readonly filter: EventFilter;
  /** Of whoever waits for it; see EventLogStore. */
  readonly signal?: AbortSignal | undefined;
}

/** What reading by a filter takes. */
export type FilteredLog = SearchedLog & Pick<EventLogStore, 'read' | 'fetch'>;

/**
 * Reads the first events of a range that pass a filter, up to its limit and 2 MiB, in bounded time: where matching events
 * are rare, `rest` is what the next call goes on with.
 *
 * @throws the reason of the signal, DatabaseUnavailable
 */
export async function readMatching(
  store: FilteredLog,
  { range, filter, signal }: MatchingQuery,
): Promise<MatchingEvents> {
  const log = signal === undefined ? store : until(signal, store);
  if (isEverything(filter)) {
    const { events, isCut, state } = await log.read(range);
    const last = isCut || events.length === range.limit ? events.at(-1) : undefined;
    return { events, rest: last && restAfter(range, last.sequence), state };
  }
  const { entries, rest } = await findMatching(log, range, filter);
  if (entries.length === 0) return { events: [], rest, state: undefined };
  const { events, isCut, state } = await log.fetch(range.workspaceId, entries);
  const last = isCut ? events.at(-1) : undefined;
  return { events, rest: last ? restAfter(range, last.sequence) : rest, state };
}

/** The same log for one who may leave. */
function until(signal: AbortSignal, store: FilteredLog): FilteredLog {
  return {
    read: (range) => store.read(range, signal),
    fetch: (workspaceId, entries) => store.fetch(workspaceId, entries, signal),
    find: (range, search) => store.find(range, search, signal),
    findTypes: (search) => store.findTypes(search, signal),
    findUuid: (workspaceId, sequence) => store.findUuid(workspaceId, sequence, signal),
    findBeyond: (range, ids) => store.findBeyond(range, ids, signal),
    readPartitionStarts: () => store.readPartitionStarts(),
  };
}
