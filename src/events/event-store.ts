import { textArray } from '../database/binary-arrays.ts';
import { isPartitionMissing } from '../database/postgres-errors.ts';
import type { StatementRunner } from '../database/statements.ts';
import { idOf, uuidOf } from '../type-id.ts';
import {
  type AppendedRow,
  type AppendRow,
  appendStatement,
  rethrowAsAppendError,
  toAppendedRow,
  toAppendValues,
} from './append/append-statements.ts';
import { byIdValues, readEventsStatement, readTypesStatement } from './by-id-statements.ts';
import type { Event, PreparedEvent } from './event.ts';
import { type EventRow, eventColumnCount, toEvents } from './event-row.ts';
import { inspectCountersStatement, sweepStatement } from './event-statements.ts';

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

/**
 * @param onPartitionMissing does what it can so that the ids of the next try have a partition, which an append that met
 * none waits for. Never rejects.
 */
export function createEventStore(
  statements: StatementRunner,
  onPartitionMissing: () => Promise<void> = async () => undefined,
): EventStore {
  return {
    async append(events, turns, { lockMsMax, timeoutMs }) {
      const nowMs = statements.clock.nowMs();
      const values = toAppendValues(events, turns, { lockMsMax, nowMs });
      const rows = await statements
        .run<AppendRow>(appendStatement, values, timeoutMs)
        .catch(async (error: unknown) => {
          if (isPartitionMissing(error)) await onPartitionMissing();
          return rethrowAsAppendError(error);
        });
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
      const rows = await statements.run<PlacedRow | CutRow>(
        readEventsStatement,
        [...byIdValues(ids.map(uuidOf)), readBytesMax],
        timeoutMs,
      );
      const events = toEvents(rows.filter(isWhole), (row) => row[eventColumnCount]);
      return {
        events: new Map(events.map((event) => [event.id, event])),
        leftOut: rows.filter((row) => !isWhole(row)).map(([id]) => idOf('evt', id)),
      };
    },

    async readTypes(ids) {
      const rows = await statements.run<{ id: string; type: string }>(
        readTypesStatement,
        byIdValues(ids.map(uuidOf)),
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

type PlacedRow = readonly [...EventRow, workspaceId: string];
/** Its payload would have been too much. */
type CutRow = readonly [id: string, type: string, payloadJson: null, ...unknown[]];

function isWhole(row: PlacedRow | CutRow): row is PlacedRow {
  return row[2] !== null;
}
