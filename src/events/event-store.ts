import {
  byteaArray,
  int4Array,
  int8Array,
  jsonArray,
  textArray,
  uuidArray,
} from '../database/binary-arrays.ts';
import { isRowAtFault, sqlStateOf } from '../database/postgres-errors.ts';
import type { StatementRunner } from '../database/statements.ts';
import { DatabaseContended } from '../database-unavailable.ts';
import { idOf, newUuid, uuidOf } from '../type-id.ts';
import type { Event, PreparedEvent } from './event.ts';
import { AppendContended, AppendRowRefused } from './event-errors.ts';
import { type EventRow, toEvent } from './event-row.ts';
import {
  appendStatement,
  inspectCountersStatement,
  readEventsStatement,
  readTypesStatement,
  sweepStatement,
} from './event-statements.ts';

/** What became of one row of an append. */
export type AppendedRow = CreatedRow | HeldRow;

export interface CreatedRow {
  readonly kind: 'created';
  readonly event: Event;
  /** Set exactly when the row has an idempotency key. */
  readonly expiresAt: Date | undefined;
}

/** A live idempotency key holds an event, whose content has `fingerprint`. */
export interface HeldRow {
  readonly kind: 'held';
  readonly eventId: string;
  readonly fingerprint: Buffer;
  readonly expiresAt: Date;
}

/** What was read of the events that were asked for. */
export interface EventsRead {
  readonly events: ReadonlyMap<string, Event>;
  /** Ids of events that exist and are to be asked for again: their payloads would have been too much. */
  readonly leftOut: readonly string[];
}

/** How long an append waits: for each lock, and for all of it. */
export interface AppendLimits {
  readonly lockMsMax: number;
  readonly timeoutMs: number;
}

/** All of the SQL of events. */
export interface EventStore {
  /**
   * Appends a batch and returns a row per event, in order, once the commit is on disk: all of it or
   * nothing. `events` is sorted by (workspace, key), bytewise, and holds each key once; new events of a
   * workspace are numbered in the order of their `turns`.
   *
   * @throws DatabaseUnavailable, AppendContended, AppendRowRefused; nothing was stored, but for a
   * DatabaseUnavailable that was sent, whose outcome is unknown.
   */
  append(
    events: readonly PreparedEvent[],
    turns: readonly number[],
    limits: AppendLimits,
  ): Promise<AppendedRow[]>;
  /**
   * Which of the workspaces exist, and whether somebody holds a lock on their counter; waits for none.
   *
   * @throws DatabaseUnavailable, AppendContended when somebody has locked the whole table.
   */
  inspectCounters(
    workspaceIds: readonly string[],
    timeoutMs: number,
  ): Promise<Map<string, 'free' | 'locked'>>;
  /** Reads events by id, `evt_…` with a valid UUID: 4 MiB of payloads at the most, but one event at least. */
  read(ids: readonly string[], timeoutMs: number): Promise<EventsRead>;
  /** The types of events, by id, without their payloads. */
  readTypes(ids: readonly string[]): Promise<Map<string, string>>;
  /** Deletes up to `limit` expired idempotency keys and returns how many; never waits for a lock. */
  sweepExpiredKeys(limit: number): Promise<number>;
}

const sweepTimeoutMs = 12_000;
const readTypesTimeoutMs = 5_000;
/** What a query brings at the most, and one payload: as much as a batch writes. */
const readBytesMax = 4 * 1024 * 1024;

export function createEventStore(statements: StatementRunner): EventStore {
  return {
    async append(events, turns, { lockMsMax, timeoutMs }) {
      const columns = [
        uuidArray(events.map(newUuid)),
        textArray(events.map((event) => event.workspaceId)),
        textArray(events.map((event) => event.type)),
        jsonArray(events.map((event) => event.payloadJson)),
        int4Array(events.map((event) => event.payloadBytes)),
        textArray(events.map((event) => event.idempotencyKey)),
        byteaArray(events.map((event) => event.fingerprint)),
        int8Array(turns),
        `${lockMsMax}`,
      ];
      const rows = await statements
        .run<AppendRow>(appendStatement, columns, timeoutMs)
        .catch(rethrowAsAppendError);
      return events.map((event, index) => toAppendedRow(event, rows[index]));
    },

    async inspectCounters(workspaceIds, timeoutMs) {
      const rows = await statements
        .run<{ id: string; is_free: boolean }>(
          inspectCountersStatement,
          [textArray(workspaceIds)],
          timeoutMs,
        )
        .catch(rethrowAsAppendError);
      return new Map(rows.map(({ id, is_free }) => [id, is_free ? 'free' : 'locked']));
    },

    async read(ids, timeoutMs) {
      const rows = await statements.run<EventRow | CutRow>(
        readEventsStatement,
        [uuidArray(ids.map(uuidOf)), readBytesMax],
        timeoutMs,
      );
      const events = rows.filter(isWhole).map(toEvent);
      return {
        events: new Map(events.map((event) => [event.id, event])),
        leftOut: rows.filter((row) => !isWhole(row)).map(({ id }) => idOf('evt', id)),
      };
    },

    async readTypes(ids) {
      const rows = await statements.run<Pick<EventRow, 'id' | 'type'>>(
        readTypesStatement,
        [uuidArray(ids.map(uuidOf))],
        readTypesTimeoutMs,
      );
      return new Map(rows.map(({ id, type }) => [idOf('evt', id), type]));
    },

    async sweepExpiredKeys(limit) {
      const rows = await statements.run<{ count: number }>(sweepStatement, [limit], sweepTimeoutMs);
      return rows[0]?.count ?? 0;
    },
  };
}

type CutRow = Omit<EventRow, 'payload_json'> & { readonly payload_json: null };

function isWhole(row: EventRow | CutRow): row is EventRow {
  return row.payload_json !== null;
}

interface AppendRow {
  readonly is_new: boolean;
  readonly id: string;
  readonly fingerprint: Buffer | null;
  readonly expires_at_ms: number | null;
  readonly sequence: number | null;
  readonly created_at_ms: number | null;
}

function toAppendedRow(input: PreparedEvent, row: AppendRow | undefined): AppendedRow {
  if (row === undefined) throw new Error('the append returned fewer rows than it was given');
  const expiresAt = row.expires_at_ms === null ? undefined : new Date(row.expires_at_ms);
  const id = idOf('evt', row.id);
  if (!row.is_new) {
    if (row.fingerprint === null || expiresAt === undefined) {
      throw new Error(`the append returned an incomplete key for ${id}`);
    }
    return { kind: 'held', eventId: id, fingerprint: row.fingerprint, expiresAt };
  }
  if (row.sequence === null || row.created_at_ms === null) {
    throw new Error(`the append returned no sequence for ${id}`);
  }
  const event: Event = {
    id,
    workspaceId: input.workspaceId,
    type: input.type,
    payload: input.payload,
    createdAt: new Date(row.created_at_ms),
    sequence: row.sequence,
  };
  return { kind: 'created', event, expiresAt };
}

function rethrowAsAppendError(error: unknown): never {
  if (error instanceof DatabaseContended) throw new AppendContended(error);
  if (isRowAtFault(error)) {
    const workspaceMissing = sqlStateOf(error) === '23502';
    throw new AppendRowRefused({ workspaceMissing, cause: error });
  }
  throw error;
}
