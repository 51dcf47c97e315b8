import type { Event } from '../event.ts';
import {
  anyType,
  type EventFilter,
  isEverything,
  type TypeMatch,
  typeMatchOf,
} from './event-filter.ts';
import type { EntrySearch, EventLogStore } from './event-log-store.ts';
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
export type FilteredLog = Pick<EventLogStore, 'read' | 'find' | 'fetch' | 'findTypes'>;

/** More types than this are not looked up one by one; the log is sifted instead. */
const typesMax = 32;
/** Events that are sifted at once at the most. */
const siftedMax = 5_000;

/**
 * Reads the first events of a range that pass a filter, up to its limit, in bounded time whatever the filter and the
 * length of the log: where matching events are rare, `rest` is what the next call goes on with.
 *
 * @throws DatabaseUnavailable
 */
export async function readMatching(
  store: FilteredLog,
  { range, filter, signal }: MatchingQuery,
): Promise<MatchingEvents> {
  if (isEverything(filter)) {
    const { events, isCut, state } = await store.read(range, signal);
    const last = isCut || events.length === range.limit ? events.at(-1) : undefined;
    return { events, rest: last && restAfter(range, last.sequence), state };
  }
  const search = await chooseSearch(store, range, filter);
  const { entries, siftedTo } = await store.find(range, search, signal);
  const seenTo = entries.length === range.limit ? entries.at(-1)?.sequence : siftedTo;
  const { events, isCut, state } =
    entries.length === 0 ? nothing : await store.fetch(range.workspaceId, entries, signal);
  const last = isCut ? events.at(-1)?.sequence : seenTo;
  return { events, rest: last === undefined ? undefined : restAfter(range, last), state };
}

const nothing = { events: [], isCut: false, state: undefined };

async function chooseSearch(
  store: FilteredLog,
  { workspaceId, limit }: LogRange,
  { subject, typePatterns }: EventFilter,
): Promise<EntrySearch> {
  const match = typeMatchOf(typePatterns);
  if (subject !== undefined) {
    return { by: 'subject', subject, match, siftedMax: match === anyType ? limit : siftedMax };
  }
  const types = await findFewTypes(store, workspaceId, match);
  return types === undefined ? { by: 'sequence', match, siftedMax } : { by: 'type', types };
}

/** The types that there are of those that match; undefined where they are many. */
async function findFewTypes(
  store: FilteredLog,
  workspaceId: string,
  { types: exact, prefixes }: TypeMatch,
): Promise<readonly string[] | undefined> {
  const types = new Set(exact);
  for (const prefix of prefixes) {
    if (types.size > typesMax) break;
    const room = typesMax - types.size + 1;
    for (const type of await store.findTypes(workspaceId, prefix, room)) types.add(type);
  }
  return types.size > typesMax ? undefined : [...types];
}
