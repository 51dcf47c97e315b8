import { anyType, type EventFilter, type TypeMatch, typeMatchOf } from './event-filter.ts';
import type { LogEntry, LogIndexStore, Sifting } from './log-index-store.ts';
import { type LogRange, lastOf, lengthOf, restAfter } from './log-range.ts';
import {
  type OpenedRange,
  openWindow,
  type PartitionedLog,
  type PartitionWindow,
  wholeWindow,
} from './partition-window.ts';

/** The first events of a range that pass a filter; they were found in an index, and not read yet. */
export interface MatchingEntries {
  readonly entries: readonly LogEntry[];
  /** What was not looked through: it may hold more, also where nothing was found. Undefined: nothing. */
  readonly rest: LogRange | undefined;
}

/** What finding events by a filter takes. */
export type SearchedLog = PartitionedLog & Pick<LogIndexStore, 'find' | 'findTypes'>;

/** More types than this are not looked up one by one; the log is sifted instead. */
const typesMax = 32;
/** Look-ups of types in one window: each of them in each partition. */
const windowLookUpsMax = 128;
/** Look-ups in windows, one after the other, until enough is found: some 5 µs each. */
const lookUpsMax = 1_000;
/** Events that are sifted at once at the most. */
const siftedMax = 5_000;

/**
 * Finds the first events of a range that pass a filter, up to its limit, in bounded time whatever the filter, the
 * length of the log and the number of its partitions.
 *
 * @throws DatabaseUnavailable
 */
export async function findMatching(
  store: SearchedLog,
  range: LogRange,
  { subject, typePatterns }: EventFilter,
): Promise<MatchingEntries> {
  const match = typeMatchOf(typePatterns);
  if (subject === undefined) return findOfTypes(store, range, match);
  const many = match === anyType ? range.limit : siftedMax;
  return sift(store, range, { by: 'subject', subject, match, siftedMax: many });
}

async function sift(
  store: SearchedLog,
  range: LogRange,
  sifting: Sifting,
): Promise<MatchingEntries> {
  const { entries, siftedTo } = await store.find(range, sifting);
  const last = entries.length === range.limit ? entries.at(-1)?.sequence : siftedTo;
  return { entries, rest: last === undefined ? undefined : restAfter(range, last) };
}

/** Looks types up where they are few, so that their events are found however rare; where they are many, sifts the log. */
async function findOfTypes(
  store: SearchedLog,
  range: LogRange,
  match: TypeMatch,
): Promise<MatchingEntries> {
  const entries: LogEntry[] = [];
  let rest: LogRange | undefined = range;
  let first: LogEntry | undefined;
  for (let lookUps = 0; rest !== undefined && lookUps < lookUpsMax; ) {
    const wanted: LogRange = { ...rest, limit: range.limit - entries.length };
    const found: FoundOfTypes = await findSome(store, { range: wanted, first }, match);
    entries.push(...found.entries);
    if (entries.length === range.limit) return { entries, rest: found.rest };
    ({ rest, first } = found);
    lookUps += found.lookUps;
  }
  return { entries, rest };
}

interface FoundOfTypes extends MatchingEntries {
  /** The first event of `rest`, where it is known. */
  readonly first: LogEntry | undefined;
  readonly lookUps: number;
}

/** Finds events of a range in its first window, or by sifting. */
async function findSome(
  store: SearchedLog,
  opened: OpenedRange,
  match: TypeMatch,
): Promise<FoundOfTypes> {
  const { range } = opened;
  const { length: all } = await store.readPartitionStarts();
  const typesAtMost = match.prefixes.length > 0 ? typesMax + 1 : match.types.length;
  const partitions = Math.min(all, Math.max(1, Math.floor(windowLookUpsMax / typesAtMost)));
  const window =
    partitions === all ? wholeWindow(range) : await openWorthyWindow(store, opened, partitions);
  const types = window && (await findFewTypes(store, window, match));
  if (window === undefined || types === undefined) {
    const sifted = await sift(store, range, { by: 'sequence', match, siftedMax });
    return { ...sifted, first: undefined, lookUps: lookUpsMax };
  }
  const { entries } = await store.find(window.range, { by: 'type', types, ids: window.ids });
  const last = entries.length === range.limit ? entries.at(-1)?.sequence : undefined;
  return {
    entries,
    rest: restAfter(range, last ?? lastOf(window.range)),
    first: window.next,
    // Of each type twice, of each prefix once, and of what is beyond the window.
    lookUps: (2 * types.length + match.prefixes.length) * partitions + all,
  };
}

/** A window; undefined where to sift gets as far, since little is in it. */
async function openWorthyWindow(
  store: SearchedLog,
  opened: OpenedRange,
  partitions: number,
): Promise<PartitionWindow | undefined> {
  if (lengthOf(opened.range) <= siftedMax) return undefined;
  const window = await openWindow(store, opened, partitions);
  return lengthOf(window.range) <= siftedMax ? undefined : window;
}

/** The types that there are of those that match; undefined where they are many. */
async function findFewTypes(
  store: SearchedLog,
  { range: { workspaceId }, ids }: PartitionWindow,
  { types, prefixes }: TypeMatch,
): Promise<readonly string[] | undefined> {
  const room = typesMax - types.length;
  if (room < 0 || prefixes.length === 0) return room < 0 ? undefined : types;
  const found = await store.findTypes({ workspaceId, ids, prefixes, limit: room + 1 });
  return found.length > room ? undefined : [...types, ...found];
}
