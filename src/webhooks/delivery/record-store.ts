import {
  byteaArray,
  int4Array,
  int8Array,
  textArray,
  timestamptzArray,
  uuidArray,
} from '../../database/binary-arrays.ts';
import type { StatementRunner } from '../../database/statements.ts';
import type { InTransaction } from '../../database/transaction.ts';
import { keyOf, type Result } from './delivery.ts';
import { releaseLanesStatement } from './lane-statements.ts';
import { recordWindowsStatement, recordWorkStatement } from './record-statements.ts';
import type { DeliverySchedule } from './schedule.ts';

/** Where deliveries are before they are sent: in a window, or in the work that waits. */
export type ResultKind = 'windows' | 'work';

/** How an endpoint fares, after results were recorded. */
export interface EndpointHealth {
  readonly endpointId: string;
  /** In a row. */
  readonly failures: number;
  /** For how long there was nothing but failures; undefined: the last request succeeded. */
  readonly failingForMs: number | undefined;
  /** Its workspace was told that it fails. */
  readonly isTold: boolean;
}

export interface Recorded {
  /** As `keyOf` says, of each result that was recorded; the others were taken over by somebody else. */
  readonly recorded: ReadonlySet<string>;
  readonly endpoints: readonly EndpointHealth[];
  /** Endpoints with deliveries that are due now, since those before them in their lanes have ended. */
  readonly released: readonly string[];
}

const timeoutMs = 10_000;

export function createRecordStore(
  runner: Pick<StatementRunner, 'run'>,
  inTransaction: InTransaction,
  schedule: DeliverySchedule,
) {
  return {
    /** Records results in one commit with what follows from them. */
    async record(kind: ResultKind, results: readonly Result[]): Promise<Recorded> {
      const statement = kind === 'windows' ? recordWindowsStatement : recordWorkStatement;
      const values = [
        ...toColumns(results),
        schedule.circuitFailures,
        schedule.circuitAfterMs,
        schedule.circuitWaitMs.first,
        schedule.circuitWaitMs.most,
      ];
      const lanes = results.flatMap(({ delivery: { cursorId, lane } }) =>
        lane === undefined ? [] : { cursorId, lane },
      );
      if (lanes.length === 0) {
        return toRecorded(await runner.run<RecordedRow>(statement, values, timeoutMs), []);
      }
      return inTransaction(async (tx) => {
        const rows = await tx.run<RecordedRow>(statement, values);
        // In a statement of its own: it sees what was parked until the first one had the lock of the cursor.
        const released = await tx.run<{ endpoint_id: string }>(releaseLanesStatement, [
          uuidArray(lanes.map(({ cursorId }) => cursorId)),
          textArray(lanes.map(({ lane }) => lane)),
        ]);
        return toRecorded(
          rows,
          released.map((row) => row.endpoint_id),
        );
      });
    },
  };
}

/** In the order in which the statement takes them. */
function toColumns(results: readonly Result[]): Buffer[] {
  const of = results.map(({ delivery }) => delivery);
  return [
    uuidArray(of.map(({ windowId }) => windowId)),
    int4Array(of.map(({ place }) => place)),
    textArray(of.map(({ workspaceId }) => workspaceId)),
    uuidArray(of.map(({ cursorId }) => cursorId)),
    uuidArray(of.map(({ endpointId }) => endpointId)),
    uuidArray(of.map(({ eventId }) => eventId)),
    textArray(of.map(({ lane }) => lane)),
    int8Array(of.map(({ sequence }) => sequence)),
    int8Array(of.map(({ previousSequence }) => previousSequence)),
    int4Array(of.map(({ attempt }) => attempt)),
    int4Array(of.map(({ tries }) => tries)),
    int4Array(of.map(({ isProbe }) => (isProbe ? 1 : 0))),
    timestamptzArray(results.map(({ startedAt }) => BigInt(startedAt.getTime()) * 1_000n)),
    int4Array(results.map(({ durationMs }) => durationMs)),
    int4Array(results.map(({ status }) => status)),
    textArray(results.map(({ error }) => error)),
    byteaArray(results.map(({ response }) => response)),
    textArray(results.map(({ outcome }) => outcome)),
    int8Array(results.map(({ afterMs }) => afterMs && Math.round(afterMs))),
    int8Array(results.map(({ holdMs }) => holdMs && Math.round(holdMs))),
  ];
}

interface RecordedRow {
  readonly window_id: string;
  readonly place: number;
  readonly attempt: number;
  readonly endpoint_id: string;
  readonly failures: number | null;
  readonly failing_since_ms: number | null;
  readonly now_ms: number | null;
  readonly is_told: boolean | null;
}

function toRecorded(rows: readonly RecordedRow[], released: readonly string[]): Recorded {
  const endpoints = new Map(rows.map((row) => [row.endpoint_id, toHealth(row)]));
  const recorded = rows.map((row) =>
    keyOf({ windowId: row.window_id, place: row.place, attempt: row.attempt }),
  );
  return { recorded: new Set(recorded), endpoints: [...endpoints.values()], released };
}

function toHealth(row: RecordedRow): EndpointHealth {
  const { failing_since_ms: since, now_ms: now } = row;
  return {
    endpointId: row.endpoint_id,
    failures: row.failures ?? 0,
    failingForMs: since === null || now === null ? undefined : now - since,
    isTold: row.is_told ?? false,
  };
}
