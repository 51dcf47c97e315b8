import type { Database } from '../../database/database.ts';
import { appendOwnEvent, type Event } from '../../events/index.ts';
import { idOf } from '../../type-id.ts';
import { type ToldRow, toOwnEvent } from '../delivery/own-event.ts';
import {
  listExpiringStatement,
  listLostStatement,
  passStatement,
  skipLostStatement,
  warnStatement,
} from './loss-statements.ts';

/** A cursor of which retention will soon take what was not delivered; ids are UUIDs. */
export interface Expiring {
  readonly cursorId: string;
  readonly workspaceId: string;
  readonly endpointId: string;
  readonly isReplay: boolean;
  readonly position: number;
  readonly endSequence: number | undefined;
  readonly endpointPatterns: readonly string[];
  /** Within those of the endpoint. */
  readonly typePatterns: readonly string[];
  readonly subject: string | undefined;
  readonly onlyFailed: boolean;
  /** The oldest event that may be lost. */
  readonly sequence: number;
  /** It was to be delivered, and waits. */
  readonly hasWork: boolean;
  /** What comes after it was not gone through, and is kept. */
  readonly unreadAfter: number;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** How long before a loss it is told of. */
  readonly leadMs: number;
}

export interface Loss {
  readonly first: number;
  readonly last: number;
}

export interface Skipped {
  /** Undefined where it was told of another loss not long ago. */
  readonly event: Event | undefined;
  readonly position: number;
}

/**
 * What retention takes from endpoints. What their workspaces are told is on disk together with what was noted of it, or
 * neither. All throw DatabaseUnavailable, those that tell also EventWorkspaceMissing, AppendContended.
 */
export interface LossStore {
  /** After a cursor, by id. */
  listExpiring(afterId: string, limit: number): Promise<Expiring[]>;
  /** Undefined where that was told, or the cursor has moved. */
  warn(expiring: Expiring, loss: Loss): Promise<Event | undefined>;
  /** Takes the cursor to a sequence up to which nothing is for it, unless it has moved. */
  pass(expiring: Expiring, to: number): Promise<void>;
  /** Cursors below the floor, and those with a loss that is still to be told; after a cursor, by id. */
  listLost(afterId: string, limit: number): Promise<string[]>;
  /** Takes a cursor past what was lost; undefined where nothing was. */
  skip(cursorId: string): Promise<Skipped | undefined>;
}

const timeoutMs = 10_000;

export function createLossStore({
  inTransaction,
  statements,
}: Pick<Database, 'inTransaction' | 'statements'>): LossStore {
  return {
    async listExpiring(afterId, limit) {
      const values = [afterId, limit];
      const rows = await statements.run<ExpiringRow>(listExpiringStatement, values, timeoutMs);
      return rows.map(toExpiring);
    },

    warn: ({ cursorId, endpointId, isReplay, position, expiresAt }, { first, last }) =>
      inTransaction(async (tx) => {
        const [row] = await tx.run<ToldRow>(warnStatement, [cursorId, first, last, position]);
        if (row === undefined) return undefined;
        const payload = {
          state: 'expiring',
          first_sequence: first,
          last_sequence: last,
          expires_at: expiresAt.toISOString(),
          ...ofReplay(isReplay, cursorId),
        };
        return appendOwnEvent(tx, toOwnEvent('events_expired', { endpointId, row, payload }));
      }),

    async pass({ cursorId, position }, to) {
      await statements.run(passStatement, [cursorId, position, to], timeoutMs);
    },

    async listLost(afterId, limit) {
      const values = [afterId, limit];
      const rows = await statements.run<{ id: string }>(listLostStatement, values, timeoutMs);
      return rows.map(({ id }) => id);
    },

    skip: (cursorId) =>
      inTransaction(async (tx) => {
        const [row] = await tx.run<SkippedRow>(skipLostStatement, [cursorId]);
        if (row === undefined) return undefined;
        const { position, endpoint_id: endpointId } = row;
        if (!row.is_due) return { event: undefined, position };
        const payload = {
          state: 'expired',
          first_sequence: row.first,
          last_sequence: row.last,
          count: row.count,
          ...ofReplay(row.kind === 'replay', cursorId),
        };
        const own = toOwnEvent('events_expired', { endpointId, row, payload });
        return { event: await appendOwnEvent(tx, own), position };
      }),
  };
}

function ofReplay(isReplay: boolean, cursorId: string) {
  return isReplay ? { replay_id: idOf('rpl', cursorId) } : {};
}

interface ExpiringRow {
  readonly id: string;
  readonly workspace_id: string;
  readonly endpoint_id: string;
  readonly kind: 'live' | 'replay';
  readonly position: number;
  readonly end_sequence: number | null;
  readonly type_patterns: string[];
  readonly only_failed: boolean;
  readonly endpoint_patterns: string[];
  readonly subject: string | null;
  readonly sequence: number;
  readonly has_work: boolean;
  readonly unread_after: number;
  readonly created_at_ms: number;
  readonly expires_at_ms: number;
  readonly lead_ms: number;
}

function toExpiring(row: ExpiringRow): Expiring {
  return {
    cursorId: row.id,
    workspaceId: row.workspace_id,
    endpointId: row.endpoint_id,
    isReplay: row.kind === 'replay',
    position: row.position,
    endSequence: row.end_sequence ?? undefined,
    endpointPatterns: row.endpoint_patterns,
    typePatterns: row.type_patterns,
    subject: row.subject ?? undefined,
    onlyFailed: row.only_failed,
    sequence: row.sequence,
    hasWork: row.has_work,
    unreadAfter: row.unread_after,
    createdAt: new Date(row.created_at_ms),
    expiresAt: new Date(row.expires_at_ms),
    leadMs: row.lead_ms,
  };
}

interface SkippedRow extends ToldRow {
  readonly endpoint_id: string;
  readonly kind: 'live' | 'replay';
  readonly position: number;
  readonly is_due: boolean;
  readonly first: number;
  readonly last: number;
  readonly count: number;
}
