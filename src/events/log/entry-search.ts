import { anyType, type EventFilter, type TypeMatch, typeMatchOf } from './event-filter.ts';
import type { EntrySearch, LogEntry, LogIndexStore } from './log-index-store.ts';
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
/** More types than this, and whatever begins with something, may be most of the log: its beginning is sifted first. */
const typesFewMax = 4;
/** As many events are sifted first for each one that is wanted: where half of them match, the page is full. */
const siftedFirst = 2;
/** Each round of many types brings a fourth of a page at least, or all that is left. */
const roundsMax = 4;
/** Look-ups of types in one window: each of them in each partition. The next window is twice as wide where there were few. */
const windowLookUpsMax = 128;
/** Look-ups in windows, one after the other, until enough is found: some 7 µs each. */
const lookUpsMax = 375;
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
  return look(store, range, { by: 'subject', subject, match, siftedMax: many });
}

interface Looked extends MatchingEntries {
  /** An event of `rest`, or near it: where it may be in the table. */
  readonly near: LogEntry | undefined;
}

async function look(store: SearchedLog, range: LogRange, search: EntrySearch): Promise<Looked> {
  const found = await store.find(range, search);
  const last = found.entries.length === range.limit ? found.entries.at(-1) : found.last;
  const rest = last && restAfter(range, last.sequence);
  return { entries: found.entries, rest, near: last };
}

/** Looks types up where they are few, so that their events are found however rare; where they are many, sifts the log. */
async function findOfTypes(
  store: SearchedLog,
  range: LogRange,
  match: TypeMatch,
): Promise<MatchingEntries> {
  const sifted = await siftFirst(store, range, match);
  if (sifted.isEnough) return sifted;
  const entries = [...sifted.entries];
  let { rest, near } = sifted;
  let width = 1;
  for (let lookUps = 0; isWanting(range, entries, rest) && lookUps < lookUpsMax; ) {
    const opened = { range: { ...rest, limit: range.limit - entries.length }, near };
    const found: FoundOfTypes = await findSome(store, opened, { match, width });
    entries.push(...found.entries);
    ({ rest, near } = found);
    lookUps += found.lookUps;
    if (found.isSparse) width *= 2;
  }
  return { entries, rest };
}

/** Whether a page is not full, and may be filled. */
function isWanting(
  { limit }: LogRange,
  entries: readonly LogEntry[],
  rest: LogRange | undefined,
): rest is LogRange {
  return rest !== undefined && entries.length < limit;
}

/**
 * Where many events match, a page is found by sifting: twice a page of the log first, and then as much as may be sifted, if
 * by what was found that fills the page. To look thirty types up takes several pages of the index, and takes learning
 * first which types there are.
 */
async function siftFirst(store: SearchedLog, range: LogRange, match: TypeMatch): Promise<Sifted> {
  if (match.prefixes.length === 0 && match.types.length <= typesFewMax) {
    return { entries: [], rest: range, near: undefined, isEnough: false };
  }
  const many = lengthOf(range) <= siftedMax ? siftedMax : siftedFirst * range.limit;
  const first = await look(store, range, { by: 'sequence', match, siftedMax: many });
  const found = first.entries.length;
  const isEnough = found * siftedMax >= range.limit * many;
  if (!isWanting(range, first.entries, first.rest) || !isEnough) return { ...first, isEnough };
  const wanted = { ...first.rest, limit: range.limit - found };
  const { entries, rest, near } = await look(store, wanted, { by: 'sequence', match, siftedMax });
  return { entries: [...first.entries, ...entries], rest, near, isEnough };
}

interface Sifted extends Looked {
  /** There is no need to look types up: the page is full, or nearly so. */
  readonly isEnough: boolean;
}

interface FoundOfTypes extends Looked {
  readonly lookUps: number;
  /** There were so few types that twice the partitions make no more look-ups than a window may. */
  readonly isSparse: boolean;
}

interface TypesWanted {
  readonly match: TypeMatch;
  /** How many times the partitions of the first window. */
  readonly width: number;
}

/** Finds events of a range in its first window, or by sifting. */
async function findSome(
  store: SearchedLog,
  opened: OpenedRange,
  { match, width }: TypesWanted,
): Promise<FoundOfTypes> {
  const { range } = opened;
  const { length: all } = await store.readPartitionStarts();
  const typesAtMost = match.prefixes.length > 0 ? typesMax + 1 : match.types.length;
  const partitions = Math.min(all, Math.max(1, Math.floor(windowLookUpsMax / typesAtMost)) * width);
  const window =
    partitions === all ? wholeWindow(range) : await openWorthyWindow(store, opened, partitions);
  const types = window && (await findFewTypes(store, window, match));
  if (window === undefined || types === undefined) {
    const sifted = await look(store, range, { by: 'sequence', match, siftedMax });
    return { ...sifted, lookUps: lookUpsMax, isSparse: false };
  }
  const { entries, rest, rounds } = await lookUp(store, window, types);
  const last = rest === undefined ? lastOf(window.range) : entries.at(-1)?.sequence;
  // At each type in each round and, to learn of it, once before; at each prefix; and at what is beyond the window.
  const looks = rounds + (match.prefixes.length > 0 ? 1 : 0);
  return {
    entries,
    rest: last === undefined ? undefined : restAfter(range, last),
    near: window.next,
    lookUps: (types.length * looks + match.prefixes.length) * partitions + all,
    isSparse: types.length * looks * 2 * partitions <= windowLookUpsMax,
  };
}

/** Looks types up in a window, in rounds: of many types, each of them brings a part of a page in one. */
async function lookUp(
  store: SearchedLog,
  { range, ids }: PartitionWindow,
  types: readonly string[],
): Promise<MatchingEntries & { readonly rounds: number }> {
  const part = types.length > typesFewMax ? Math.ceil(range.limit / roundsMax) : range.limit;
  const entries: LogEntry[] = [];
  let rest: LogRange | undefined = range;
  let rounds = 0;
  for (; isWanting(range, entries, rest); rounds++) {
    const limit = range.limit - entries.length;
    const search = { by: 'type', types, ids, eachMax: Math.min(part, limit) } as const;
    const found: MatchingEntries = await look(store, { ...rest, limit }, search);
    entries.push(...found.entries);
    ({ rest } = found);
  }
  return { entries, rest, rounds };
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
