import type { Statement, StatementRunner } from '../../database/statements.ts';
import { findUuid, idOf } from '../../type-id.ts';
import { dateOfMs } from '../row-time.ts';
import { type DeliveryKey, toDeliveryId } from './delivery-id.ts';
import {
  findDeliveryStatement,
  listDeliveriesStatement,
  readAttemptsStatement,
  retryDeliveryStatement,
} from './delivery-log-statements.ts';

export type DeliveryState = 'pending' | 'in_flight' | 'succeeded' | 'failed' | 'cancelled';

/** A delivery as it is shown. */
export interface DeliveryRecord {
  /** `dlv_…`. */
  readonly id: string;
  readonly key: DeliveryKey;
  readonly endpointId: string;
  readonly workspaceId: string;
  /** Undefined where the event is no longer kept, and was not sent before. */
  readonly eventId: string | undefined;
  readonly sequence: number;
  readonly previousSequence: number;
  readonly replayId: string | undefined;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly nextAttemptAt: Date | undefined;
  readonly lastAttemptAt: Date | undefined;
}

/** One HTTP request. */
export interface AttemptRecord {
  readonly number: number;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly status: number | undefined;
  readonly error: string | undefined;
  readonly response: Buffer | undefined;
}

/** Reads deliveries, for as long as they are kept. All throw DatabaseUnavailable. */
export interface DeliveryLogStore {
  /** The newest first. */
  list(options: {
    readonly endpointId: string;
    readonly workspaceId: string;
    readonly before: DeliveryKey | undefined;
    readonly limit: number;
  }): Promise<DeliveryRecord[]>;
  find(key: DeliveryKey): Promise<DeliveryRecord | undefined>;
  readAttempts(key: DeliveryKey): Promise<AttemptRecord[]>;
  /** False for one that is being sent, or stands behind another one. */
  retry(key: DeliveryKey): Promise<boolean>;
}

const timeoutMs = 5_000;
const attemptsMax = 100;
const uuidMax = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
/** More failures than any schedule has waits for: what is sent by hand is sent once. */
const triesOfRetry = 1_000;

export function createDeliveryLogStore(statements: StatementRunner): DeliveryLogStore {
  const run = <Row>(statement: Statement, values: unknown[]) =>
    statements.run<Row>(statement, values, timeoutMs);
  return {
    async list({ endpointId, workspaceId, before, limit }) {
      const { windowId = uuidMax, place = 0 } = before ?? {};
      const values = [findUuid('whe', endpointId), workspaceId, windowId, place, limit];
      return (await run<DeliveryRow>(listDeliveriesStatement, values)).map(toRecord);
    },

    async find({ windowId, place }) {
      const [row] = await run<DeliveryRow>(findDeliveryStatement, [windowId, place]);
      return row && toRecord(row);
    },

    async readAttempts({ windowId, place }) {
      const values = [windowId, place, attemptsMax];
      const rows = await run<AttemptRow>(readAttemptsStatement, values);
      return rows.map((row) => ({
        number: row.attempt,
        startedAt: new Date(row.started_at_ms),
        durationMs: row.duration_ms,
        status: row.status ?? undefined,
        error: row.error ?? undefined,
        response: row.response ?? undefined,
      }));
    },

    async retry({ windowId, place }) {
      const rows = await run(retryDeliveryStatement, [windowId, place, triesOfRetry]);
      return rows.length > 0;
    },
  };
}

interface DeliveryRow {
  readonly window_id: string;
  readonly place: number;
  readonly workspace_id: string;
  readonly endpoint_id: string;
  readonly cursor_id: string;
  readonly event_id: string | null;
  readonly sequence: number;
  readonly previous_sequence: number;
  readonly attempts: number;
  readonly last_attempt_at_ms: number | null;
  readonly next_attempt_at_ms: number | null;
  readonly state: DeliveryState;
}

interface AttemptRow {
  readonly attempt: number;
  readonly started_at_ms: number;
  readonly duration_ms: number;
  readonly status: number | null;
  readonly error: string | null;
  readonly response: Buffer | null;
}

function toRecord(row: DeliveryRow): DeliveryRecord {
  const key = { windowId: row.window_id, place: row.place };
  return {
    id: toDeliveryId(key),
    key,
    endpointId: idOf('whe', row.endpoint_id),
    workspaceId: row.workspace_id,
    eventId: row.event_id === null ? undefined : idOf('evt', row.event_id),
    sequence: row.sequence,
    previousSequence: row.previous_sequence,
    replayId: row.cursor_id === row.endpoint_id ? undefined : idOf('rpl', row.cursor_id),
    state: row.state,
    attempts: row.attempts,
    nextAttemptAt: dateOfMs(row.next_attempt_at_ms),
    lastAttemptAt: dateOfMs(row.last_attempt_at_ms),
  };
}
