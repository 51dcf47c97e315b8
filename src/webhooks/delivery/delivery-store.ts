import {
  byteaArray,
  int4Array,
  int8Array,
  textArray,
  uuidArray,
} from '../../database/binary-arrays.ts';
import type { Statement, StatementRunner } from '../../database/statements.ts';
import {
  claimWorkStatement,
  lookStatement,
  moveStatement,
  recordWindowsStatement,
  recordWorkStatement,
  renewStatement,
  takeUpStatement,
} from './delivery-statements.ts';
import type { DeliverySchedule } from './schedule.ts';

/** A cursor that is to be moved; ids are UUIDs here, as the database has them. */
export interface Move {
  readonly cursorId: string;
  readonly workspaceId: string;
  readonly endpointId: string;
  /** Where the cursor is expected. */
  readonly expected: number;
  /** The log was looked through up to here. */
  readonly scanned: number;
  /** Sequences of the events that match, ascending. */
  readonly matches: readonly number[];
  readonly windowId: string;
}

export interface Moved {
  readonly cursorId: string;
  readonly windowId: string;
  /** How many of the matches are in the window now. */
  readonly taken: number;
  /** The match before the first of the window; 0 for none. */
  readonly previousSequence: number;
  readonly position: number;
  /** There was no room for all matches. */
  readonly isLimited: boolean;
}

/** A range of one cursor's matches in flight, held by its fence for as long as its lease lasts. */
export interface TakenUp {
  readonly windowId: string;
  readonly workspaceId: string;
  readonly cursorId: string;
  readonly endpointId: string;
  readonly sequences: readonly number[];
  readonly previousSequence: number;
  readonly fence: number;
  /** Places, from 0, whose requests were recorded. */
  readonly placesDone: readonly number[];
}

/** One event on its way to one endpoint. */
export interface Delivery {
  readonly windowId: string;
  /** Its place in the window, from 0. */
  readonly place: number;
  readonly fence: number;
  readonly workspaceId: string;
  readonly cursorId: string;
  readonly endpointId: string;
  readonly eventId: string;
  readonly subject: string | undefined;
  readonly sequence: number;
  readonly previousSequence: number;
  /** The number of the request that is sent now. */
  readonly attempt: number;
  /** Requests that have failed before it. */
  readonly tries: number;
}

/** What came of a request. */
export interface Result {
  readonly delivery: Delivery;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly status: number | undefined;
  readonly error: string | undefined;
  readonly response: Buffer | undefined;
  readonly outcome: 'succeeded' | 'retry' | 'failed';
  readonly afterMs: number | undefined;
  readonly holdMs: number | undefined;
}

/** How an endpoint fares, after results were recorded. */
export interface EndpointHealth {
  readonly endpointId: string;
  readonly failures: number;
  readonly failingSince: Date | undefined;
  readonly isClosed: boolean;
}

export interface Recorded {
  /** `<window> <place>` of each result that was recorded; the others were taken over by somebody else. */
  readonly recorded: ReadonlySet<string>;
  readonly endpoints: readonly EndpointHealth[];
}

export interface Look {
  /** How far logs have grown. */
  readonly logs: ReadonlyMap<string, number>;
  /** Endpoints with deliveries that are due. */
  readonly due: readonly string[];
  readonly hasExpired: boolean;
  /** Endpoints that have changed, each with its workspace. */
  readonly changed: readonly { readonly endpointId: string; readonly workspaceId: string }[];
}

/** The SQL of deliveries. All throw DatabaseUnavailable and DatabaseContended. */
export interface DeliveryStore {
  /** Moves cursors, and returns those that were where they were expected; each endpoint at most once. */
  move(moves: readonly Move[]): Promise<Moved[]>;
  /** Records requests of windows, or of claimed work, in one commit with what follows from them. */
  record(kind: 'windows' | 'work', results: readonly Result[]): Promise<Recorded>;
  takeUp(limit: number): Promise<TakenUp[]>;
  /** Those of the windows that are still held, and leased on. */
  renew(windows: readonly { windowId: string; fence: number }[]): Promise<ReadonlySet<string>>;
  /** Leaves windows to others at once, which were to be sent by this process. */
  release(windows: readonly { windowId: string; fence: number }[]): Promise<void>;
  claimWork(endpointIds: readonly string[], limit: number): Promise<Delivery[]>;
  look(workspaceIds: readonly string[], dueMax: number, changedSince: Date): Promise<Look>;
}

/** A statement may run again: a move checks the position, a record what is there already. */
const timeoutMs = 10_000;

export function createDeliveryStore(
  statements: StatementRunner,
  schedule: DeliverySchedule,
): DeliveryStore {
  const run = <Row>(statement: Statement, values: unknown[]) =>
    statements.run<Row>(statement, values, timeoutMs);

  async function lease(
    windows: readonly { windowId: string; fence: number }[],
    leaseMs: number,
  ): Promise<ReadonlySet<string>> {
    const rows = await run<{ id: string }>(renewStatement, [
      leaseMs,
      uuidArray(windows.map(({ windowId }) => windowId)),
      int4Array(windows.map(({ fence }) => fence)),
    ]);
    return new Set(rows.map(({ id }) => id));
  }

  return {
    async move(moves) {
      const sorted = moves.toSorted(byEndpoint);
      const rows = await run<MovedRow>(moveStatement, [
        schedule.leaseMs,
        schedule.circuitFailures,
        uuidArray(sorted.map(({ cursorId }) => cursorId)),
        textArray(sorted.map(({ workspaceId }) => workspaceId)),
        uuidArray(sorted.map(({ endpointId }) => endpointId)),
        int8Array(sorted.map(({ expected }) => expected)),
        int8Array(sorted.map(({ scanned }) => scanned)),
        textArray(sorted.map(({ matches }) => `{${matches.join(',')}}`)),
        uuidArray(sorted.map(({ windowId }) => windowId)),
      ]);
      return rows.map((row) => ({
        cursorId: row.cursor_id,
        windowId: row.window_id,
        taken: row.taken,
        previousSequence: row.previous_sequence,
        position: row.position,
        isLimited: row.is_limited,
      }));
    },

    async record(kind, results) {
      const statement = kind === 'windows' ? recordWindowsStatement : recordWorkStatement;
      const rows = await run<RecordedRow>(statement, [
        ...toColumns(results),
        schedule.circuitFailures,
        schedule.circuitAfterMs,
        schedule.circuitWaitMs.first,
        schedule.circuitWaitMs.most,
      ]);
      const endpoints = new Map(
        rows.map((row) => [
          row.endpoint_id,
          {
            endpointId: row.endpoint_id,
            failures: row.failures,
            failingSince:
              row.failing_since_ms === null ? undefined : new Date(row.failing_since_ms),
            isClosed: row.is_closed,
          },
        ]),
      );
      return {
        recorded: new Set(rows.map((row) => `${row.window_id} ${row.place}`)),
        endpoints: [...endpoints.values()],
      };
    },

    async takeUp(limit) {
      const rows = await run<TakenUpRow>(takeUpStatement, [schedule.leaseMs, limit]);
      return rows.map((row) => ({
        windowId: row.window_id,
        workspaceId: row.workspace_id,
        cursorId: row.cursor_id,
        endpointId: row.endpoint_id,
        sequences: row.sequences,
        previousSequence: row.previous_sequence,
        fence: row.fence,
        placesDone: row.places_done,
      }));
    },

    renew: (windows) => lease(windows, schedule.leaseMs),

    async release(windows) {
      if (windows.length > 0) await lease(windows, 0);
    },

    async claimWork(endpointIds, limit) {
      const rows = await run<WorkRow>(claimWorkStatement, [
        schedule.leaseMs,
        uuidArray(endpointIds),
        limit,
      ]);
      return rows.map(toDelivery);
    },

    async look(workspaceIds, dueMax, changedSince) {
      const rows = await run<LookRow>(lookStatement, [
        textArray(workspaceIds),
        dueMax,
        changedSince,
      ]);
      return toLook(rows);
    },
  };
}

function byEndpoint(a: { endpointId: string }, b: { endpointId: string }): number {
  return a.endpointId < b.endpointId ? -1 : 1;
}

/** In the order of `resultColumns`. */
function toColumns(results: readonly Result[]): unknown[] {
  const of = results.map(({ delivery }) => delivery);
  return [
    uuidArray(of.map(({ windowId }) => windowId)),
    int4Array(of.map(({ place }) => place)),
    int4Array(of.map(({ fence }) => fence)),
    textArray(of.map(({ workspaceId }) => workspaceId)),
    uuidArray(of.map(({ cursorId }) => cursorId)),
    uuidArray(of.map(({ endpointId }) => endpointId)),
    uuidArray(of.map(({ eventId }) => eventId)),
    textArray(of.map(({ subject }) => subject)),
    int8Array(of.map(({ sequence }) => sequence)),
    int8Array(of.map(({ previousSequence }) => previousSequence)),
    int4Array(of.map(({ attempt }) => attempt)),
    int4Array(of.map(({ tries }) => tries)),
    results.map(({ startedAt }) => startedAt),
    int4Array(results.map(({ durationMs }) => durationMs)),
    int4Array(results.map(({ status }) => status)),
    textArray(results.map(({ error }) => error)),
    byteaArray(results.map(({ response }) => response)),
    textArray(results.map(({ outcome }) => outcome)),
    results.map(({ afterMs }) => afterMs ?? null),
    results.map(({ holdMs }) => holdMs ?? null),
  ];
}

function toDelivery(row: WorkRow): Delivery {
  return {
    windowId: row.window_id,
    place: row.place,
    fence: row.fence,
    workspaceId: row.workspace_id,
    cursorId: row.cursor_id,
    endpointId: row.endpoint_id,
    eventId: row.event_id,
    subject: row.subject ?? undefined,
    sequence: row.sequence,
    previousSequence: row.previous_sequence,
    attempt: row.attempts + 1,
    tries: row.tries,
  };
}

function toLook(rows: readonly LookRow[]): Look {
  const logs = new Map<string, number>();
  const due: string[] = [];
  const changed: { endpointId: string; workspaceId: string }[] = [];
  let hasExpired = false;
  for (const { kind, workspace_id, endpoint_id, last_sequence } of rows) {
    if (kind === 'expired') hasExpired = true;
    else if (workspace_id === null) continue;
    else if (kind === 'log') logs.set(workspace_id, last_sequence ?? 0);
    else if (endpoint_id === null) continue;
    else if (kind === 'due') due.push(endpoint_id);
    else changed.push({ endpointId: endpoint_id, workspaceId: workspace_id });
  }
  return { logs, due, hasExpired, changed };
}

interface MovedRow {
  readonly cursor_id: string;
  readonly window_id: string;
  readonly taken: number;
  readonly previous_sequence: number;
  readonly position: number;
  readonly is_limited: boolean;
}

interface RecordedRow {
  readonly window_id: string;
  readonly place: number;
  readonly endpoint_id: string;
  readonly failures: number;
  readonly failing_since_ms: number | null;
  readonly is_closed: boolean;
}

interface TakenUpRow {
  readonly window_id: string;
  readonly workspace_id: string;
  readonly cursor_id: string;
  readonly endpoint_id: string;
  readonly sequences: number[];
  readonly previous_sequence: number;
  readonly fence: number;
  readonly places_done: number[];
}

interface WorkRow {
  readonly window_id: string;
  readonly place: number;
  readonly workspace_id: string;
  readonly cursor_id: string;
  readonly endpoint_id: string;
  readonly event_id: string;
  readonly subject: string | null;
  readonly sequence: number;
  readonly previous_sequence: number;
  readonly attempts: number;
  readonly tries: number;
  readonly fence: number;
}

interface LookRow {
  readonly kind: 'log' | 'due' | 'expired' | 'changed';
  readonly workspace_id: string | null;
  readonly endpoint_id: string | null;
  readonly last_sequence: number | null;
}
