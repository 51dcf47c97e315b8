import { int4Array, int8Array, textArray, uuidArray } from '../../database/binary-arrays.ts';
import type { InTransaction, Transaction } from '../../database/transaction.ts';
import type { Match, Move, Moved } from './move-store.ts';
import { parkedMax } from './room-statements.ts';
import type { DeliverySchedule } from './schedule.ts';
import {
  busyLanesStatement,
  lockSubjectCursorStatement,
  placeSubjectsStatement,
} from './subject-statements.ts';

interface CursorRow {
  readonly position: number;
  readonly state: string;
  readonly open_windows: number;
  readonly parked: number;
  readonly previous_sequence: number;
  readonly is_probe: boolean;
  readonly is_closed: boolean;
  readonly room: number;
  readonly opens_in_ms: number | null;
  readonly endpoint_tokens: number;
  readonly endpoint_rate: number | null;
  readonly cursor_tokens: number;
  readonly cursor_rate: number | null;
}

/** Which matches are taken, from the first on, and which of those are parked. */
interface Placement {
  readonly taken: readonly Match[];
  readonly parked: ReadonlySet<number>;
  readonly sent: number;
}

/**
 * Moves one cursor that keeps the order of each subject: one window at a time, and events whose subject has deliveries that
 * are not done are parked behind these.
 */
export function createSubjectStore(inTransaction: InTransaction, schedule: DeliverySchedule) {
  return {
    moveBySubject: (move: Move): Promise<Moved> =>
      inTransaction(async (tx) => {
        const [cursor] = await tx.run<CursorRow>(lockSubjectCursorStatement, [
          schedule.circuitFailures,
          move.cursorId,
          move.workspaceId,
          move.endpointId,
        ]);
        const refusal = refuse(move, cursor);
        if (refusal !== undefined || cursor === undefined) return refusal as Moved;
        const placement = place(move, cursor, await busyLanes(tx, move));
        const position = positionAfter(move, placement);
        const { leaseMs } = schedule;
        if (position > move.expected)
          await write(tx, { leaseMs, move, cursor, placement, position });
        return toMoved({ move, cursor, placement, position });
      }),
  };
}

const nothing = {
  taken: 0,
  width: 0,
  previousSequence: 0,
  isLimited: false,
  isProbe: false,
} as const;

function refuse(move: Move, cursor: CursorRow | undefined): Moved | undefined {
  const { cursorId, windowId, expected } = move;
  const refusal = { ...nothing, cursorId, windowId, position: expected, waitMs: undefined };
  if (cursor === undefined) return { ...refusal, outcome: 'busy' };
  if (cursor.state !== 'running') return { ...refusal, outcome: 'gone' };
  if (cursor.position !== expected) {
    return { ...refusal, outcome: 'elsewhere', position: cursor.position };
  }
  if (move.matches.length === 0) return undefined;
  if (cursor.open_windows > 0) return { ...refusal, outcome: 'waits' };
  if (cursor.is_closed && cursor.room <= 0) {
    return { ...refusal, outcome: 'closed', waitMs: cursor.opens_in_ms ?? undefined };
  }
  return undefined;
}

async function busyLanes(tx: Transaction, move: Move): Promise<ReadonlySet<string>> {
  const lanes = [...new Set(move.matches.flatMap(({ lane }) => lane ?? []))];
  if (lanes.length === 0) return new Set();
  const values = [move.cursorId, textArray(lanes)];
  const rows = await tx.run<{ lane: string }>(busyLanesStatement, values);
  return new Set(rows.map(({ lane }) => lane));
}

function place(move: Move, cursor: CursorRow, busy: ReadonlySet<string>): Placement {
  const { room, endpoint_tokens, cursor_tokens } = cursor;
  const sendMax = Math.floor(Math.max(0, Math.min(room, endpoint_tokens, cursor_tokens)));
  const parked = new Set<number>();
  let sent = 0;
  let taken = 0;
  for (const { lane } of move.matches) {
    const isParked = lane !== undefined && busy.has(lane);
    if (isParked ? cursor.parked + parked.size >= parkedMax : sent >= sendMax) break;
    if (isParked) parked.add(taken);
    else sent++;
    taken++;
  }
  return { taken: move.matches.slice(0, taken), parked, sent };
}

function positionAfter(move: Move, { taken }: Placement): number {
  const next = move.matches[taken.length];
  return next === undefined ? move.scanned : next.sequence - 1;
}

interface Written {
  readonly leaseMs: number;
  readonly move: Move;
  readonly cursor: CursorRow;
  readonly placement: Placement;
  readonly position: number;
}

async function write(
  tx: Transaction,
  { leaseMs, move, cursor, placement, position }: Written,
): Promise<void> {
  const { taken, parked, sent } = placement;
  const places = [...parked];
  const at = (index: number) => taken[index] as Match;
  const previous = (index: number) => taken[index - 1]?.sequence ?? cursor.previous_sequence;
  await tx.run(placeSubjectsStatement, [
    leaseMs,
    move.cursorId,
    move.workspaceId,
    move.endpointId,
    move.windowId,
    int8Array(taken.map(({ sequence }) => sequence)),
    position,
    sent,
    cursor.previous_sequence,
    cursor.endpoint_tokens,
    cursor.cursor_tokens,
    move.isEnd && taken.length === move.matches.length,
    int4Array(places),
    uuidArray(places.map((index) => at(index).eventId)),
    textArray(places.map((index) => at(index).lane)),
    int8Array(places.map((index) => at(index).sequence)),
    int8Array(places.map(previous)),
  ]);
}

function toMoved({ move, cursor, placement, position }: Omit<Written, 'leaseMs'>): Moved {
  const { taken, parked, sent } = placement;
  const isLimited = taken.length < move.matches.length;
  const wait = (rate: number | null, tokens: number) =>
    rate === null ? 0 : Math.ceil((1_000 * Math.max(0, 1 - (tokens - sent))) / rate);
  return {
    cursorId: move.cursorId,
    windowId: move.windowId,
    outcome: 'moved',
    taken: taken.length,
    width: sent,
    parkedPlaces: parked,
    previousSequence: cursor.previous_sequence,
    position,
    isLimited,
    waitMs: isLimited
      ? Math.max(
          wait(cursor.endpoint_rate, cursor.endpoint_tokens),
          wait(cursor.cursor_rate, cursor.cursor_tokens),
        )
      : undefined,
    isProbe: cursor.is_probe,
  };
}
