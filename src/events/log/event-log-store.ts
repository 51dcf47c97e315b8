import type { Statement, StatementRunner } from '../../database/statements.ts';
import { idOf } from '../../type-id.ts';
import { byIdValues } from '../by-id-statements.ts';
import type { Event } from '../event.ts';
import { type EventRow, toEvents } from '../event-row.ts';
import { findTypesStatement, siftStatement, typeEntriesStatement } from './entry-statements.ts';
import type { TypeMatch } from './event-filter.ts';
import {
  fetchStatement,
  listStatement,
  logEndsStatement,
  placeOfTimeStatement,
} from './event-log-statements.ts';
import { fewAtOnce } from './few-at-once.ts';
import { gatherLogEnds, type LogState, type ReadLogEnds } from './log-place.ts';
import type { LogRange } from './log-range.ts';

/** An event that was found by an index, and is not read yet. */
export interface LogEntry {
  readonly uuid: string;
  readonly sequence: number;
}

/** How events that pass a filter are found. */
export type EntrySearch =
  | { readonly by: 'type'; readonly types: readonly string[] }
  /** Looks at `siftedMax` events at the most: of the log, or of those about the subject. */
  | (Sifting & { readonly by: 'sequence' })
  | (Sifting & { readonly by: 'subject'; readonly subject: string });

interface Sifting {
  readonly match: TypeMatch;
  readonly siftedMax: number;
}

export interface FoundEntries {
  readonly entries: readonly LogEntry[];
  /** The sequence of the last event that was looked at, where there may be more; undefined: the range was seen to its end. */
  readonly siftedTo: number | undefined;
}

export interface LogChunk {
  readonly events: readonly Event[];
  /** More events were left out, for their bytes. */
  readonly isCut: boolean;
  /** The event before the range, where a range was read and there are events. */
  readonly previousEventId: string | undefined;
  /** What the log's workspace said at the moment at which the events were read; undefined where there are none. */
  readonly state: LogState | undefined;
}

/**
 * The SQL that reads the log. What holds events is cut at 2 MiB of payloads, but holds one at least. Reads are
 * few at once: whoever leaves, by `signal`, waits for its turn no more, and what has not begun never does.
 */
export interface EventLogStore {
  /**
   * The events of a range.
   *
   * @throws the reason of `signal`, DatabaseUnavailable
   */
  read(range: LogRange, signal?: AbortSignal): Promise<LogChunk>;
  /** Finds the first events of a range, up to its limit, without reading them. */
  find(range: LogRange, search: EntrySearch, signal?: AbortSignal): Promise<FoundEntries>;
  /** The events of some entries, in their order; those whose rows retention has deleted since are left out. */
  fetch(workspaceId: string, entries: readonly LogEntry[], signal?: AbortSignal): Promise<LogChunk>;
  /** Up to `limit` types of a workspace that begin with `prefix`. */
  findTypes(workspaceId: string, prefix: string, limit: number): Promise<string[]>;
  /** The highest sequence that was created before `time`, or at it where `inclusive`; below the floor for none. */
  findPlaceOfTime(workspaceId: string, time: Date, inclusive: boolean): Promise<number>;
  /** Where the log of each workspace that exists ends, and maybe of others; look-ups are gathered. */
  readonly readLogEnds: ReadLogEnds;
}

const readTimeoutMs = 5_000;
/** When PostgreSQL is silent, what was spent waiting for one's turn is taken off. */
const turnMsMax = 2_000;
/** Behind the query before: see `gatherLogEnds`. */
const logEndsTimeoutMs = 4_000;
/** Chunks that are read at once: a crowd that catches up leaves connections of the pool to the creates. */
const readsAtOnceMax = 4;
/** So that a page can be read by a gRPC client with its default limit of 4 MiB. */
export const pageBytesMax = 2 * 1024 * 1024;

const listStatements = { asc: listStatement('asc'), desc: listStatement('desc') };
const findStatements = {
  type: { asc: typeEntriesStatement('asc'), desc: typeEntriesStatement('desc') },
  sequence: { asc: siftStatement('sequence', 'asc'), desc: siftStatement('sequence', 'desc') },
  subject: { asc: siftStatement('subject', 'asc'), desc: siftStatement('subject', 'desc') },
};

export function createEventLogStore(runner: StatementRunner): EventLogStore {
  const inTurn = fewAtOnce({ max: readsAtOnceMax, silentMs: 1_000, waitMsMax: turnMsMax });

  function run<Row>(statement: Statement, values: unknown[], signal: AbortSignal | undefined) {
    return inTurn(async (waitedMs) => {
      const askedAtMs = performance.now();
      const timeoutMs = readTimeoutMs - Math.min(waitedMs, turnMsMax);
      return { rows: await runner.run<Row>(statement, values, timeoutMs), askedAtMs };
    }, signal);
  }

  async function readChunk(
    statement: Statement,
    values: unknown[],
    signal: AbortSignal | undefined,
  ): Promise<LogChunk> {
    const { rows, askedAtMs } = await run<LogRow>(statement, values, signal);
    return toChunk(rows, askedAtMs);
  }

  return {
    async read({ workspaceId, low, high, direction, limit }, signal) {
      const values = [workspaceId, low, high, limit, pageBytesMax];
      return readChunk(listStatements[direction], values, signal);
    },

    async find(range, search, signal) {
      const statement = findStatements[search.by][range.direction];
      const { rows } = await run<EntryRow>(statement, findValues(range, search), signal);
      return toFound(rows);
    },

    async fetch(workspaceId, entries, signal) {
      const ids = byIdValues(entries.map(({ uuid }) => uuid));
      return readChunk(fetchStatement, [workspaceId, ...ids, pageBytesMax], signal);
    },

    async findTypes(workspaceId, prefix, limit) {
      const values = [workspaceId, prefix, limit];
      const rows = await runner.run<{ type: string }>(findTypesStatement, values, readTimeoutMs);
      return rows.map(({ type }) => type);
    },

    async findPlaceOfTime(workspaceId, time, inclusive) {
      const values = [workspaceId, time, inclusive];
      const [row] = await runner.run<{ sequence: number }>(
        placeOfTimeStatement,
        values,
        readTimeoutMs,
      );
      return row?.sequence ?? 0;
    },

    readLogEnds: gatherLogEnds(async (workspaceIds) => {
      const askedAtMs = performance.now();
      const rows = await runner.run<LogEndRow>(logEndsStatement, [workspaceIds], logEndsTimeoutMs);
      return new Map(
        rows.map((row) => {
          const place = { sequence: row.last_sequence, eventId: toEventId(row.last_event_id) };
          return [row.workspace_id, { ...place, ...toState(row, askedAtMs) }];
        }),
      );
    }),
  };
}

interface StateRow {
  readonly first_sequence: number;
  readonly revision: number;
}

interface LogRow extends EventRow, StateRow {
  readonly rows_found: number;
  readonly previous_id: string | null;
}

interface LogEndRow extends StateRow {
  readonly workspace_id: string;
  readonly last_sequence: number;
  readonly last_event_id: string | null;
}

interface EntryRow {
  /** Null: a mark, up to where was sifted. */
  readonly id: string | null;
  readonly sequence: number;
}

function findValues(range: LogRange, search: EntrySearch): unknown[] {
  const { workspaceId, low, high, limit } = range;
  const values = [workspaceId, low, high, limit];
  if (search.by === 'type') return [...values, search.types];
  const { types, prefixes } = search.match;
  const sifting = [...values, types, prefixes, search.siftedMax];
  return search.by === 'subject' ? [...sifting, search.subject] : sifting;
}

function toFound(rows: readonly EntryRow[]): FoundEntries {
  const entries = rows.flatMap(({ id, sequence }) => (id === null ? [] : { uuid: id, sequence }));
  return { entries, siftedTo: rows.find(({ id }) => id === null)?.sequence };
}

function toChunk(rows: readonly LogRow[], askedAtMs: number): LogChunk {
  const [first] = rows;
  return {
    events: toEvents(rows),
    isCut: first !== undefined && rows.length < first.rows_found,
    previousEventId: toEventId(first?.previous_id ?? null),
    state: first && toState(first, askedAtMs),
  };
}

function toState(row: StateRow, askedAtMs: number): LogState {
  return { firstSequence: row.first_sequence, revision: row.revision, askedAtMs };
}

function toEventId(uuid: string | null): string | undefined {
  return uuid === null ? undefined : idOf('evt', uuid);
}
