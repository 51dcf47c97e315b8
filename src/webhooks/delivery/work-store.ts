import { int4Array, textArray, uuidArray } from '../../database/binary-arrays.ts';
import type { StatementRunner } from '../../database/statements.ts';
import type { InTransaction, Transaction } from '../../database/transaction.ts';
import type { Delivery } from './delivery.ts';
import type { DeliverySchedule } from './schedule.ts';
import {
  claimWorkStatement,
  giveUpWindowsStatement,
  lockEndpointsStatement,
  lockExpiredStatement,
  lockWindowsStatement,
  lookStatement,
  releaseWorkStatement,
} from './work-statements.ts';

export interface Claimed {
  readonly deliveries: readonly Delivery[];
  /** In how many milliseconds there is more to claim, of each endpoint where there is. */
  readonly nextMs: ReadonlyMap<string, number>;
}

export interface LogReach {
  readonly lastSequence: number;
  /** The first that retention keeps. */
  readonly firstSequence: number;
}

export interface TouchedEndpoint {
  readonly endpointId: string;
  /** By the database's clock, in microseconds. */
  readonly touchedAtMicros: number;
}

export interface Look {
  /** The database's clock. */
  readonly now: Date;
  /** Of each workspace that exists. */
  readonly logs: ReadonlyMap<string, LogReach>;
  /** Endpoints with deliveries that are due. */
  readonly due: readonly string[];
  /** Leases of windows have run out. */
  readonly hasExpired: boolean;
  readonly touched: readonly TouchedEndpoint[];
}

export interface LookQuery {
  readonly workspaceIds: readonly string[];
  readonly dueMax: number;
  readonly touchedSince: Date;
  /** Endpoints that this process cannot send to. */
  readonly except: readonly string[];
}

/** A statement may run again: what was claimed is claimed once more when its lease has run out. */
const timeoutMs = 10_000;

export function createWorkStore(
  runner: Pick<StatementRunner, 'run'>,
  inTransaction: InTransaction,
  schedule: DeliverySchedule,
) {
  return {
    /** Claims deliveries that are due, `limit` of each endpoint at the most. */
    async claimWork(endpointIds: readonly string[], limit: number): Promise<Claimed> {
      const values = [schedule.leaseMs, uuidArray(endpointIds), limit];
      return toClaimed(await runner.run<WorkRow | NextRow>(claimWorkStatement, values, timeoutMs));
    },

    /** Turns windows whose lease has run out, up to `limit`, into work; returns the endpoints of these. */
    takeUp: (limit: number): Promise<string[]> =>
      inTransaction(async (tx) =>
        giveUp(tx, await tx.run<WindowRow>(lockExpiredStatement, [limit])),
      ),

    /** Leaves windows to whoever comes first, as work that is due at once. */
    release: (windowIds: readonly string[]): Promise<string[]> =>
      inTransaction(async (tx) =>
        giveUp(tx, await tx.run<WindowRow>(lockWindowsStatement, [uuidArray(windowIds)])),
      ),

    /** As `release`, of deliveries that were claimed from the work. */
    async releaseWork(deliveries: readonly Delivery[]): Promise<void> {
      const values = [
        uuidArray(deliveries.map(({ windowId }) => windowId)),
        int4Array(deliveries.map(({ place }) => place)),
        int4Array(deliveries.map(({ attempt }) => attempt)),
      ];
      await runner.run(releaseWorkStatement, values, timeoutMs);
    },

    async look(query: LookQuery): Promise<Look> {
      const values = [
        textArray(query.workspaceIds),
        query.dueMax,
        query.touchedSince,
        uuidArray(query.except),
      ];
      return toLook(await runner.run<LookRow>(lookStatement, values, timeoutMs));
    },
  };
}

interface WindowRow {
  readonly id: string;
  readonly endpoint_id: string;
}

async function giveUp(tx: Transaction, windows: readonly WindowRow[]): Promise<string[]> {
  if (windows.length === 0) return [];
  const endpointIds = [...new Set(windows.map((row) => row.endpoint_id))];
  await tx.run(lockEndpointsStatement, [uuidArray(endpointIds)]);
  await tx.run(giveUpWindowsStatement, [uuidArray(windows.map(({ id }) => id))]);
  return endpointIds;
}

interface WorkRow {
  readonly window_id: string;
  readonly place: number;
  readonly workspace_id: string;
  readonly cursor_id: string;
  readonly endpoint_id: string;
  readonly event_id: string;
  readonly lane: string | null;
  readonly sequence: number;
  readonly previous_sequence: number;
  readonly attempts: number;
  readonly tries: number;
  readonly is_probe: boolean;
}

interface NextRow {
  readonly window_id: null;
  readonly endpoint_id: string;
  readonly next_ms: number | null;
}

function toClaimed(rows: readonly (WorkRow | NextRow)[]): Claimed {
  const deliveries: Delivery[] = [];
  const nextMs = new Map<string, number>();
  for (const row of rows) {
    if (row.window_id !== null) deliveries.push(toDelivery(row));
    else if (row.next_ms !== null) nextMs.set(row.endpoint_id, row.next_ms);
  }
  return { deliveries, nextMs };
}

function toDelivery(row: WorkRow): Delivery {
  return {
    windowId: row.window_id,
    place: row.place,
    workspaceId: row.workspace_id,
    cursorId: row.cursor_id,
    endpointId: row.endpoint_id,
    eventId: row.event_id,
    lane: row.lane ?? undefined,
    sequence: row.sequence,
    previousSequence: row.previous_sequence,
    attempt: row.attempts,
    tries: row.tries,
    isProbe: row.is_probe,
  };
}

type LookRow =
  | { readonly kind: 'now'; readonly number: number }
  | {
      readonly kind: 'log';
      readonly workspace_id: string;
      readonly number: number;
      readonly floor: number;
    }
  | { readonly kind: 'due'; readonly endpoint_id: string }
  | { readonly kind: 'expired' }
  | { readonly kind: 'touched'; readonly endpoint_id: string; readonly number: number };

function toLook(rows: readonly LookRow[]): Look {
  const logs = new Map<string, LogReach>();
  const due: string[] = [];
  const touched: TouchedEndpoint[] = [];
  let now = new Date(0);
  let hasExpired = false;
  for (const row of rows) {
    if (row.kind === 'now') now = new Date(row.number);
    else if (row.kind === 'log') {
      logs.set(row.workspace_id, { lastSequence: row.number, firstSequence: row.floor });
    } else if (row.kind === 'due') due.push(row.endpoint_id);
    else if (row.kind === 'expired') hasExpired = true;
    else touched.push({ endpointId: row.endpoint_id, touchedAtMicros: row.number });
  }
  return { now, logs, due, hasExpired, touched };
}
