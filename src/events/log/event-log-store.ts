import type { StatementRunner } from '../../database/statements.ts';
import { idOf } from '../../type-id.ts';
import type { Event } from '../event.ts';
import { type EventRow, toEvents } from '../event-row.ts';
import {
  type Direction,
  findTypesStatement,
  listStatement,
  listTypesStatement,
  logEndsStatement,
  placeOfTimeStatement,
  scanStatement,
} from './event-log-statements.ts';
import { fewAtOnce } from './few-at-once.ts';
import { gatherLogEnds, type LogState, type ReadLogEnds } from './log-place.ts';

/** A part of a workspace's log: after `low`, up to and including `high`. */
export interface LogRange {
  readonly workspaceId: string;
  readonly low: number;
  readonly high: number;
  readonly direction: Direction;
  /** Events at the most. */
  readonly limit: number;
}

/** What of a range is read; undefined types: everything. */
export type TypeSelection =
  | { readonly kind: 'all' }
  | { readonly kind: 'types'; readonly types: readonly string[] }
  | {
      readonly kind: 'scan';
      readonly types: readonly string[];
      readonly prefixes: readonly string[];
    };

export interface LogChunk {
  readonly events: readonly Event[];
  /** More events of the range and selection were left out, for their bytes. */
  readonly isCut: boolean;
  /** The event before the range, where every type was asked for and there are events. */
  readonly previousEventId: string | undefined;
  /** What the log's workspace said at the moment at which the events were read; undefined where there are none. */
  readonly state: LogState | undefined;
}

/** The SQL that reads the log. Every answer is cut at 2 MiB of payloads, but holds one event at least. */
export interface EventLogStore {
  /** @throws DatabaseUnavailable */
  read(range: LogRange, selection: TypeSelection): Promise<LogChunk>;
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

const statements = {
  all: { asc: listStatement('asc'), desc: listStatement('desc') },
  types: { asc: listTypesStatement('asc'), desc: listTypesStatement('desc') },
  scan: { asc: scanStatement('asc'), desc: scanStatement('desc') },
};

export function createEventLogStore(runner: StatementRunner): EventLogStore {
  const inTurn = fewAtOnce({ max: readsAtOnceMax, silentMs: 1_000, waitMsMax: turnMsMax });
  return {
    async read({ workspaceId, low, high, direction, limit }, selection) {
      const values: unknown[] = [workspaceId, low, high, limit, pageBytesMax];
      if (selection.kind !== 'all') values.push(selection.types);
      if (selection.kind === 'scan') values.push(selection.prefixes);
      const statement = statements[selection.kind][direction];
      const rows = await inTurn((waitedMs) =>
        runner.run<LogRow>(statement, values, readTimeoutMs - Math.min(waitedMs, turnMsMax)),
      );
      const [first] = rows;
      return {
        events: toEvents(rows),
        isCut: first !== undefined && rows.length < first.rows_found,
        previousEventId: toEventId(first?.previous_id ?? null),
        state: first && toState(first),
      };
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
      const rows = await runner.run<LogEndRow>(logEndsStatement, [workspaceIds], logEndsTimeoutMs);
      return new Map(
        rows.map((row) => {
          const place = { sequence: row.last_sequence, eventId: toEventId(row.last_event_id) };
          return [row.workspace_id, { ...place, ...toState(row) }];
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

function toState({ first_sequence: firstSequence, revision }: StateRow): LogState {
  return { firstSequence, revision };
}

function toEventId(uuid: string | null): string | undefined {
  return uuid === null ? undefined : idOf('evt', uuid);
}
