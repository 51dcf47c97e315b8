import type { Statement, StatementRunner } from '../../database/statements.ts';
import { findUuid, idOf } from '../../type-id.ts';
import { dateOfMs } from '../row-time.ts';
import { type DeliveryKey, toDeliveryId } from './delivery-id.ts';
import {
  type DeliverySource,
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
  /** Requests that were recorded. */
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

export interface DeliveryQuery {
  readonly endpointId: string;
  readonly workspaceId: string;
  /** `evt_…`; undefined: of any. */
  readonly eventId: string | undefined;
  /** Undefined: in any. */
  readonly state: DeliveryState | undefined;
  /** Undefined: from the newest. */
  readonly before: DeliveryKey | undefined;
  readonly limit: number;
}

export interface DeliveryPage {
  /** The newest first. */
  readonly deliveries: readonly DeliveryRecord[];
  /** Before which the next page is; undefined: there is none. */
  readonly next: DeliveryKey | undefined;
}

/** Reads deliveries, for as long as they are kept. All throw DatabaseUnavailable. */
export interface DeliveryLogStore {
  /** A page of at most `limit`; it may hold fewer, where a state is rare, and yet not be the last. */
  list(query: DeliveryQuery): Promise<DeliveryPage>;
  find(key: DeliveryKey): Promise<DeliveryRecord | undefined>;
  readAttempts(key: DeliveryKey): Promise<AttemptRecord[]>;
  /** Sends it now; not where it is being sent, or stands behind another one. */
  retry(key: DeliveryKey): Promise<void>;
}

const timeoutMs = 5_000;
const attemptsMax = 100;
/** Deliveries that are looked at for a page of those in one state. */
const siftedMax = 2_000;
const uuidMax = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
/** More failures than any schedule has waits for: what is sent by hand is sent once. */
const triesOfRetry = 1_000;

const sourcesOf: Record<DeliveryState, readonly DeliverySource[]> = {
  pending: ['open'],
  in_flight: ['open'],
  succeeded: ['tried'],
  failed: ['tried'],
  cancelled: ['tried'],
};

export function createDeliveryLogStore(statements: StatementRunner): DeliveryLogStore {
  const run = <Row>(statement: Statement, values: unknown[]) =>
    statements.run<Row>(statement, values, timeoutMs);
  return {
    async list({ endpointId, workspaceId, eventId, state, before, limit }) {
      const { windowId = uuidMax, place = 0 } = before ?? {};
      const eventUuid = eventId === undefined ? undefined : findUuid('evt', eventId);
      if (eventId !== undefined && eventUuid === undefined) return nothing;
      const sifted = state === undefined ? limit : Math.max(limit, siftedMax);
      const from = state === undefined ? (['tried', 'open'] as const) : sourcesOf[state];
      const values = [findUuid('whe', endpointId), workspaceId, windowId, place, sifted];
      const statement = listDeliveriesStatement(from, eventUuid !== undefined);
      const given = eventUuid === undefined ? values : [...values, eventUuid];
      const found = (await run<DeliveryRow>(statement, given)).map(toRecord);
      const matching = found.filter((one) => state === undefined || one.state === state);
      const deliveries = matching.slice(0, limit);
      const isCut = matching.length > limit;
      const last = isCut ? deliveries.at(-1) : found.length === sifted ? found.at(-1) : undefined;
      return { deliveries, next: last?.key };
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
      await run(retryDeliveryStatement, [windowId, place, triesOfRetry]);
    },
  };
}

const nothing: DeliveryPage = { deliveries: [], next: undefined };

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

/** What stands for an event that was gone before its delivery was written down. */
const noEvent = '00000000-0000-0000-0000-000000000000';

function toRecord(row: DeliveryRow): DeliveryRecord {
  const key = { windowId: row.window_id, place: row.place };
  const hasEvent = row.event_id !== null && row.event_id !== noEvent;
  return {
    id: toDeliveryId(key),
    key,
    endpointId: idOf('whe', row.endpoint_id),
    workspaceId: row.workspace_id,
    eventId: hasEvent ? idOf('evt', row.event_id as string) : undefined,
    sequence: row.sequence,
    previousSequence: row.previous_sequence,
    replayId: row.cursor_id === row.endpoint_id ? undefined : idOf('rpl', row.cursor_id),
    state: row.state,
    attempts: row.attempts,
    nextAttemptAt: dateOfMs(row.next_attempt_at_ms),
    lastAttemptAt: dateOfMs(row.last_attempt_at_ms),
  };
}
