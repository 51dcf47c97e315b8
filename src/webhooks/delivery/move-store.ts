import { int4Array, int8Array, textArray, uuidArray } from '../../database/binary-arrays.ts';
import type { StatementRunner } from '../../database/statements.ts';
import { moveStatement, positionsStatement, renewStatement } from './move-statements.ts';
import type { DeliverySchedule } from './schedule.ts';

/** What a cursor has found. */
export interface Match {
  readonly sequence: number;
  readonly eventId: string;
  readonly lane: string | undefined;
}

/** A cursor that is to be moved; ids are UUIDs, as the database has them. */
export interface Move {
  readonly cursorId: string;
  readonly workspaceId: string;
  readonly endpointId: string;
  /** Where the cursor is expected. */
  readonly expected: number;
  /** The log was looked through up to here. */
  readonly scanned: number;
  /** That is its end, or the cursor's. */
  readonly isEnd: boolean;
  /** By their sequence. */
  readonly matches: readonly Match[];
  readonly windowId: string;
  /** How many deliveries are wanted for each request that may be on its way at once. */
  readonly depth: number;
}

/**
 * What became of a move: `closed` endpoints take nothing now, at `busy` ones somebody else is at work, a cursor `waits` for what
 * is unfinished before it, is `elsewhere` than it was expected, or `gone`, when it does not run.
 */
export type MoveOutcome = 'moved' | 'closed' | 'busy' | 'waits' | 'elsewhere' | 'gone';

export interface Moved {
  readonly cursorId: string;
  readonly windowId: string;
  readonly outcome: MoveOutcome;
  /** How many of the matches were taken, from the first on. */
  readonly taken: number;
  /** How many of them may be on their way at once. */
  readonly width: number;
  /** Of these, places that were parked and are not to be sent; undefined for none. */
  readonly parkedPlaces?: ReadonlySet<number>;
  /** The match before the first of the window; 0 for none. */
  readonly previousSequence: number;
  /** Where the cursor is now. */
  readonly position: number;
  /** There was no room for all matches, or there is none for more. */
  readonly isLimited: boolean;
  /** When to ask again, where that is known. */
  readonly waitMs: number | undefined;
  readonly isProbe: boolean;
}

/** A statement may run again: a move checks the position. */
const timeoutMs = 10_000;

export function createMoveStore(runner: Pick<StatementRunner, 'run'>, schedule: DeliverySchedule) {
  return {
    /** Moves cursors; each endpoint is among them once at the most. */
    async move(moves: readonly Move[]): Promise<Moved[]> {
      const rows = await runner.run<MovedRow>(
        moveStatement,
        [schedule.leaseMs, schedule.circuitFailures, ...toColumns(moves)],
        timeoutMs,
      );
      return rows.map(toMoved);
    },

    /** Where cursors are; those that are gone are left out. */
    async positions(cursorIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
      const values = [uuidArray(cursorIds)];
      const rows = await runner.run<{ id: string; position: number }>(
        positionsStatement,
        values,
        timeoutMs,
      );
      return new Map(rows.map(({ id, position }) => [id, position]));
    },

    /** Leases windows on, and returns those that nobody has taken up. */
    async renew(windowIds: readonly string[]): Promise<ReadonlySet<string>> {
      const values = [schedule.leaseMs, uuidArray(windowIds)];
      const rows = await runner.run<{ id: string }>(renewStatement, values, timeoutMs);
      return new Set(rows.map(({ id }) => id));
    },
  };
}

function toColumns(moves: readonly Move[]): Buffer[] {
  return [
    uuidArray(moves.map(({ cursorId }) => cursorId)),
    textArray(moves.map(({ workspaceId }) => workspaceId)),
    uuidArray(moves.map(({ endpointId }) => endpointId)),
    int8Array(moves.map(({ expected }) => expected)),
    int8Array(moves.map(({ scanned }) => scanned)),
    textArray(moves.map(({ matches }) => `{${matches.map((match) => match.sequence).join(',')}}`)),
    uuidArray(moves.map(({ windowId }) => windowId)),
    int4Array(moves.map(({ isEnd }) => (isEnd ? 1 : 0))),
    int4Array(moves.map(({ depth }) => depth)),
  ];
}

interface MovedRow {
  readonly cursor_id: string;
  readonly window_id: string;
  readonly outcome: MoveOutcome;
  readonly taken: number;
  readonly width: number;
  readonly previous_sequence: number;
  readonly position: number | null;
  readonly is_limited: boolean;
  readonly wait_ms: number | null;
  readonly is_probe: boolean;
}

function toMoved(row: MovedRow): Moved {
  return {
    cursorId: row.cursor_id,
    windowId: row.window_id,
    outcome: row.outcome,
    taken: row.taken,
    width: row.width,
    previousSequence: row.previous_sequence,
    position: row.position ?? 0,
    isLimited: row.is_limited,
    waitMs: row.wait_ms ?? undefined,
    isProbe: row.is_probe,
  };
}
