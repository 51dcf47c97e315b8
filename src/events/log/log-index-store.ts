import type { Statement } from '../../database/statements.ts';
import {
  beyondStatement,
  findTypesStatement,
  partitionStartsStatement,
  siftStatement,
  typeEntriesStatement,
  uuidStatement,
} from './entry-statements.ts';
import type { TypeMatch } from './event-filter.ts';
import { everyId, type IdRange, idsAround, type PartitionStarts } from './id-range.ts';
import type { LogRange } from './log-range.ts';
import { placeOfTimeStatement } from './time-statements.ts';

/** An event that was found in an index, and is not read yet. */
export interface LogEntry {
  readonly uuid: string;
  readonly sequence: number;
}

/** How events that pass a filter are found. */
export type EntrySearch = Sifting | OfTypes;

/** Looks at `siftedMax` events at the most: of the log, or of those about a subject. */
export type Sifting = { readonly match: TypeMatch; readonly siftedMax: number } & (
  | { readonly by: 'sequence' }
  | { readonly by: 'subject'; readonly subject: string }
);

/** Looks up each of some types, among the events with some ids, and at `eachMax` of each at the most. */
export interface OfTypes {
  readonly by: 'type';
  readonly types: readonly string[];
  readonly ids: IdRange;
  readonly eachMax: number;
}

export interface FoundEntries {
  readonly entries: readonly LogEntry[];
  /** The last event that was looked at, where there may be more; undefined: the range was seen to its end. */
  readonly last: LogEntry | undefined;
}

/** Which types to look for: those that begin with one of the prefixes, of events with some ids. */
export interface TypeSearch {
  readonly workspaceId: string;
  readonly prefixes: readonly string[];
  readonly ids: IdRange;
  readonly limit: number;
}

/** The SQL that finds places in logs, and reads no event. Calls throw DatabaseUnavailable, and the reason of a signal. */
export interface LogIndexStore {
  /** Finds the first events of a range, up to its limit. */
  find(range: LogRange, search: EntrySearch, signal?: AbortSignal): Promise<FoundEntries>;
  /** Types that there are, up to a limit. */
  findTypes(search: TypeSearch, signal?: AbortSignal): Promise<string[]>;
  /** The UUID of the event with a sequence. */
  findUuid(
    workspaceId: string,
    sequence: number,
    signal?: AbortSignal,
  ): Promise<string | undefined>;
  /** The first event of a range whose id is none of `ids`. */
  findBeyond(range: LogRange, ids: IdRange, signal?: AbortSignal): Promise<LogEntry | undefined>;
  /** The highest sequence that was created before a time; below the floor for none. */
  findPlaceOfTime(workspaceId: string, time: Date): Promise<number>;
  /** Where the partitions of events begin: a minute old at the most. */
  readPartitionStarts(): Promise<PartitionStarts>;
}

/** Runs a statement in its turn. */
export type RunStatement = <Row>(
  statement: Statement,
  values: unknown[],
  signal: AbortSignal | undefined,
) => Promise<Row[]>;

const findStatements = {
  type: { asc: typeEntriesStatement('asc'), desc: typeEntriesStatement('desc') },
  sequence: { asc: siftStatement('sequence', 'asc'), desc: siftStatement('sequence', 'desc') },
  subject: { asc: siftStatement('subject', 'asc'), desc: siftStatement('subject', 'desc') },
};
const beyondStatements = { asc: beyondStatement('asc'), desc: beyondStatement('desc') };
/** There is a new one a few times a year; a list that is out of date does no harm. */
const startsAgeMsMax = 60_000;

export function createLogIndexStore(run: RunStatement): LogIndexStore {
  const readPartitionStarts = remembering(startsAgeMsMax, async () => {
    const rows = await run<{ start: string }>(partitionStartsStatement, [], undefined);
    return [everyId.from, ...rows.map(({ start }) => start)];
  });

  return {
    async find(range, search, signal) {
      if (search.by === 'type' && search.types.length === 0) return nothing;
      const statement = findStatements[search.by][range.direction];
      return toFound(await run<EntryRow>(statement, findValues(range, search), signal));
    },

    async findTypes({ workspaceId, prefixes, ids, limit }, signal) {
      const values = [workspaceId, prefixes, limit, ids.from, ids.before];
      const rows = await run<{ type: string }>(findTypesStatement, values, signal);
      return rows.map(({ type }) => type);
    },

    async findUuid(workspaceId, sequence, signal) {
      const [row] = await run<{ id: string }>(uuidStatement, [workspaceId, sequence], signal);
      return row?.id;
    },

    async findBeyond({ workspaceId, low, high, direction }, ids, signal) {
      const statement = beyondStatements[direction];
      const values = [workspaceId, low, high, ids.from, ids.before];
      return toFound(await run<EntryRow>(statement, values, signal)).entries[0];
    },

    async findPlaceOfTime(workspaceId, time) {
      let place: PlaceRow | undefined;
      for (const { from, before } of idsAround(await readPartitionStarts(), time)) {
        const values = [workspaceId, time, from, before];
        [place] = await run<PlaceRow>(placeOfTimeStatement, values, undefined);
        if (place?.is_proven === true) break;
      }
      return place?.sequence ?? 0;
    },

    readPartitionStarts,
  };
}

const nothing: FoundEntries = { entries: [], last: undefined };

interface EntryRow {
  readonly id: string;
  readonly sequence: number;
  /** Where events were sifted. */
  readonly is_match?: boolean;
  /** Beyond it something may be missing. */
  readonly is_last?: boolean;
}

interface PlaceRow {
  readonly sequence: number;
  readonly is_proven: boolean;
}

function findValues(range: LogRange, search: EntrySearch): unknown[] {
  const { workspaceId, low, high, limit } = range;
  const values = [workspaceId, low, high, limit];
  if (search.by === 'type') {
    const { types, ids, eachMax } = search;
    return [...values, types, ids.from, ids.before, eachMax];
  }
  const { types, prefixes } = search.match;
  const sifting = [...values, types, prefixes, search.siftedMax];
  return search.by === 'subject' ? [...sifting, search.subject] : sifting;
}

function toFound(rows: readonly EntryRow[]): FoundEntries {
  const end = rows.findIndex((row) => row.is_last);
  const seen = end === -1 ? rows : rows.slice(0, end + 1);
  const last = rows[end];
  return {
    entries: seen.filter((row) => row.is_match !== false).map(toEntry),
    last: last && toEntry(last),
  };
}

function toEntry({ id, sequence }: EntryRow): LogEntry {
  return { uuid: id, sequence };
}

/** Asks again once what was answered is older; whoever asks meanwhile shares the question. */
function remembering<T>(ageMsMax: number, ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  let askedAtMs = 0;
  return () => {
    const now = performance.now();
    if (asked !== undefined && now - askedAtMs < ageMsMax) return asked;
    askedAtMs = now;
    const asking = ask();
    asked = asking;
    asking.catch(() => {
      if (asked === asking) asked = undefined;
    });
    return asking;
  };
}
