import type { Appended, Event, PreparedEvent } from '../event.ts';
import { type AppendContended, IdempotencyKeyReused } from '../event-errors.ts';
import type { AppendedRow } from './append-statements.ts';

/** A create that waits for its answer. */
export interface Waiting {
  readonly event: PreparedEvent;
  /** Counts up with each create: events are numbered in the order in which they came. */
  readonly turn: number;
  /** All of these do nothing once the caller has been answered. */
  readonly resolve: (appended: Appended) => void;
  readonly reject: (reason: unknown) => void;
  /** The answer to a statement with it was lost: it may be stored, whatever becomes of the next one. */
  readonly noteLost: () => void;
  /** Back to where it waited: this statement has stored nothing of it, because its workspace is locked. */
  readonly putBack: (contended: AppendContended) => void;
}

/** One row of a batch, and every create that it answers: the first one's event is what is written. */
export type BatchRow = readonly [first: Waiting, ...rest: Waiting[]];

/** What a batch writes into one workspace. */
export interface BatchPart {
  readonly workspaceId: string;
  readonly rows: readonly BatchRow[];
}

/**
 * Makes rows of creates: those with the same key share one, since a statement may claim a key once.
 * Sorted by (workspace, key), bytewise, as far as they have keys; both are ASCII, so JavaScript's order is
 * that of the bytes.
 */
export function toParts(waiting: readonly Waiting[]): BatchPart[] {
  const byWorkspace = Map.groupBy(waiting, ({ event }) => event.workspaceId);
  return [...byWorkspace]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([workspaceId, creates]) => ({ workspaceId, rows: toRows(creates) }));
}

function toRows(waiting: readonly Waiting[]): BatchRow[] {
  const keyless: BatchRow[] = [];
  const keyed = new Map<string, [Waiting, ...Waiting[]]>();
  for (const one of waiting) {
    const { idempotencyKey } = one.event;
    if (idempotencyKey === undefined) {
      keyless.push([one]);
      continue;
    }
    const row = keyed.get(idempotencyKey);
    if (row === undefined) keyed.set(idempotencyKey, [one]);
    else row.push(one);
  }
  const sorted = [...keyed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  return [...sorted, ...keyless];
}

/** Answers every create of a row; `original` is the event that holds the key, where one does. */
export function answerRow(row: BatchRow, result: AppendedRow, original: Event | undefined): void {
  const [first, ...rest] = row;
  if (result.kind === 'held') {
    for (const one of row) answerHeld(one, result, original);
    return;
  }
  const { event, expiresAt } = result;
  first.resolve({ event, replayed: false, idempotencyKeyExpiresAt: expiresAt });
  if (expiresAt === undefined || first.event.fingerprint === undefined) return;
  const fingerprint = first.event.fingerprint;
  for (const one of rest) {
    answerHeld(one, { eventId: event.id, fingerprint, expiresAt }, event);
  }
}

interface Holder {
  readonly eventId: string;
  readonly fingerprint: Buffer;
  readonly expiresAt: Date;
}

function answerHeld(waiting: Waiting, holder: Holder, original: Event | undefined): void {
  if (waiting.event.fingerprint?.equals(holder.fingerprint) !== true) {
    waiting.reject(new IdempotencyKeyReused(holder.eventId, holder.expiresAt));
  } else if (original === undefined) {
    waiting.reject(new Error(`the original of a replay, ${holder.eventId}, is missing`));
  } else {
    waiting.resolve({
      event: original,
      replayed: true,
      idempotencyKeyExpiresAt: holder.expiresAt,
    });
  }
}
