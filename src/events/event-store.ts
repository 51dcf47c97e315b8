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
  append(events: readonly PreparedEvent[], turns: readonly number[]): Promise<AppendedRow[]>;
  /** Reads events by id, `evt_…` with a valid UUID; those that do not exist are left out. */
  read(ids: readonly string[]): Promise<Map<string, Event>>;
  /** The types of events, by id, without their payloads. */
  readTypes(ids: readonly string[]): Promise<Map<string, string>>;
  /** Deletes up to `limit` expired idempotency keys and returns how many; never waits for a lock. */
  sweepExpiredKeys(limit: number): Promise<number>;
}

/** Longer than the server's own limits (1 s for a lock, 10 s for a statement), which come first. */
const writeTimeoutMs = 12_000;
const readTimeoutMs = 5_000;

export function createEventStore(statements: StatementRunner): EventStore {
  return {
    async append(events, turns) {
      const columns = [
        uuidArray(events.map(newUuid)),
        textArray(events.map((event) => event.workspaceId)),
        textArray(events.map((event) => event.type)),
        jsonArray(events.map((event) => event.payloadJson)),
        int4Array(events.map((event) => event.payloadBytes)),
        textArray(events.map((event) => event.idempotencyKey)),
        byteaArray(events.map((event) => event.fingerprint)),
        int8Array(turns),
      ];
      const rows = await statements
        .run<AppendRow>(appendStatement, columns, writeTimeoutMs)
        .catch(rethrowAsAppendError);
      return events.map((event, index) => toAppendedRow(event, rows[index]));
    },

    async read(ids) {
      const rows = await statements.run<EventRow>(
        readEventsStatement,
        [uuidArray(ids.map(uuidOf))],
        readTimeoutMs,
      );
      return new Map(rows.map(toEvent).map((event) => [event.id, event]));
    },

    async readTypes(ids) {
      const rows = await statements.run<Pick<EventRow, 'id' | 'type'>>(
        readTypesStatement,
        [uuidArray(ids.map(uuidOf))],
        readTimeoutMs,
      );
      return new Map(rows.map(({ id, type }) => [idOf('evt', id), type]));
    },

    async sweepExpiredKeys(limit) {
      const rows = await statements.run<{ count: number }>(sweepStatement, [limit], writeTimeoutMs);
      return rows[0]?.count ?? 0;
    },
  };
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
