import type { Statement, StatementRunner } from '../../database/statements.ts';
import { idOf } from '../../type-id.ts';
import { byIdValues } from '../by-id-statements.ts';
import type { Event } from '../event.ts';
import { type EventRow, eventColumnCount, toEvents } from '../event-row.ts';
import {
  fetchStatement,
  listStatement,
  logEndsStatement,
  nextStatement,
} from './event-log-statements.ts';
import { fewAtOnce } from './few-at-once.ts';
import type { IdRange } from './id-range.ts';
import {
  createLogIndexStore,
  type LogEntry,
  type LogIndexStore,
  type RunStatement,
} from './log-index-store.ts';
import {
  gatherLogEnds,
  type LogEnd,
  type LogPlace,
  type LogState,
  type ReadLogEnds,
} from './log-place.ts';
import type { LogRange } from './log-range.ts';

export interface LogChunk {
  readonly events: readonly Event[];
  /** More events were left out, for their bytes. */
  readonly isCut: boolean;
  /** What the log's workspace said at the moment at which the events were read; undefined where there are none. */
  readonly state: LogState | undefined;
}

/** What of a log comes next for whoever reads all of it. */
export interface NextPart {
  readonly workspaceId: string;
  readonly afterSequence: number;
  /** Events at the most. */
  readonly limit: number;
  /** Looks among the events with these ids only: whether some are missing shows in their sequences. */
  readonly ids: IdRange;
}

export interface NextChunk extends LogChunk {
  /** After the event before them, where that is still there and there are events. */
  readonly previous: LogPlace | undefined;
}

/**
 * The SQL that reads the log. What holds events is cut at 2 MiB of payloads, but holds one at least. Reads are
 * few at once: whoever leaves, by `signal`, waits for its turn no more, and what has not begun never does.
 */
export interface EventLogStore extends LogIndexStore {
  /**
   * The events of a range.
   *
   * @throws the reason of `signal`, DatabaseUnavailable
   */
  read(range: LogRange, signal?: AbortSignal): Promise<LogChunk>;
  /** The events after a sequence. */
  readNext(part: NextPart, signal?: AbortSignal): Promise<NextChunk>;
  /** The events of some entries, in their order; those whose rows retention has deleted since are left out. */
  fetch(workspaceId: string, entries: readonly LogEntry[], signal?: AbortSignal): Promise<LogChunk>;
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

export function createEventLogStore(runner: Pick<StatementRunner, 'run'>): EventLogStore {
  const inTurn = fewAtOnce({ max: readsAtOnceMax, silentMs: 1_000, waitMsMax: turnMsMax });

  /** What comes of the rows is made within the turn: whoever waited for it is given no rows. */
  function run<Row, Answer>(
    { statement, values, signal }: Asked,
    toAnswer: (rows: Row[], askedAtMs: number) => Answer,
  ): Promise<Answer> {
    return inTurn(async (waitedMs) => {
      const askedAtMs = performance.now();
      const timeoutMs = readTimeoutMs - Math.min(waitedMs, turnMsMax);
      return toAnswer(await runner.run<Row>(statement, values, timeoutMs), askedAtMs);
    }, signal);
  }

  function readChunk(workspaceId: string, asked: Asked): Promise<LogChunk> {
    return run<LogRow, LogChunk>(asked, (rows, askedAtMs) => toChunk(rows, workspaceId, askedAtMs));
  }

  return {
    ...createLogIndexStore(<Row>(...[statement, values, signal]: Parameters<RunStatement>) =>
      run<Row, Row[]>({ statement, values, signal }, (rows) => rows),
    ),

    async read({ workspaceId, low, high, direction, limit }, signal) {
      const values = [workspaceId, low, high, limit, pageBytesMax];
      return readChunk(workspaceId, { statement: listStatements[direction], values, signal });
    },

    async readNext({ workspaceId, afterSequence, limit, ids }, signal) {
      const values = [workspaceId, afterSequence, limit, ids.from, pageBytesMax, ids.before];
      const asked = { statement: nextStatement, values, signal };
      return run<NextRow, NextChunk>(asked, (rows, askedAtMs) => ({
        ...toChunk(rows, workspaceId, askedAtMs),
        previous: toPrevious(rows[0], afterSequence),
      }));
    },

    async fetch(workspaceId, entries, signal) {
      const ids = byIdValues(entries.map(({ uuid }) => uuid));
      const values = [workspaceId, ...ids, pageBytesMax];
      return readChunk(workspaceId, { statement: fetchStatement, values, signal });
    },

    readLogEnds: gatherLogEnds(async (workspaceIds) => {
      const askedAtMs = performance.now();
      const rows = await runner.run<LogEndRow>(logEndsStatement, [workspaceIds], logEndsTimeoutMs);
      return new Map(rows.map((row) => [row.workspace_id, toEnd(row, askedAtMs)]));
    }),
  };
}

/** A statement, and of whoever waits for its answer, a signal. */
interface Asked {
  readonly statement: Statement;
  readonly values: unknown[];
  readonly signal: AbortSignal | undefined;
}

/** What is true of all rows stands in the first one alone. */
type LogRow = readonly [
  ...EventRow,
  rowsFound: string | null,
  firstSequence: string | null,
  revision: string | null,
];
type NextRow = readonly [...LogRow, previousId: string | null, previousAtMs: string | null];

interface LogEndRow {
  readonly workspace_id: string;
  readonly first_sequence: number;
  readonly revision: number;
  readonly last_sequence: number;
  readonly last_event_at_ms: number | null;
}

function toChunk(
  rows: readonly (LogRow | NextRow)[],
  workspaceId: string,
  askedAtMs: number,
): LogChunk {
  const events = toEvents(rows, () => workspaceId);
  const [first] = rows;
  if (first === undefined) return { events, isCut: false, state: undefined };
  const [rowsFound, firstSequence, revision] = first.slice(eventColumnCount);
  if (rowsFound === null) throw new Error('the first row of a read tells nothing of the log');
  return {
    events,
    isCut: rows.length < Number(rowsFound),
    state: { firstSequence: Number(firstSequence), revision: Number(revision), askedAtMs },
  };
}

function toPrevious(row: NextRow | undefined, sequence: number): LogPlace | undefined {
  const [id = null, ms = null] = row?.slice(eventColumnCount + 3) ?? [];
  if (id === null || ms === null) return undefined;
  return { sequence, eventId: idOf('evt', id), createdAtMs: Number(ms) };
}

function toEnd(row: LogEndRow, askedAtMs: number): LogEnd {
  const { last_sequence: sequence, last_event_at_ms: ms } = row;
  return {
    sequence,
    eventId: undefined,
    createdAtMs: ms ?? undefined,
    firstSequence: row.first_sequence,
    revision: row.revision,
    askedAtMs,
  };
}
