import type { Appended, PreparedEvent } from '../event.ts';
import type { AppendContended } from '../event-errors.ts';

/** A create that waits for its answer. */
export interface Waiting {
  readonly event: PreparedEvent;
  readonly askedAtMs: number;
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

export function hasManyRows([first, ...others]: readonly BatchPart[]): boolean {
  return others.length > 0 || (first?.rows.length ?? 0) > 1;
}

/** Between workspaces while there are several, then between rows; undefined for a single row. */
export function halvesOf(parts: readonly BatchPart[]): BatchPart[][] | undefined {
  const [only] = parts;
  if (parts.length !== 1 || only === undefined) {
    const middle = parts.length >> 1;
    return [parts.slice(0, middle), parts.slice(middle)];
  }
  const { workspaceId, rows } = only;
  if (rows.length < 2) return undefined;
  const middle = rows.length >> 1;
  return [rows.slice(0, middle), rows.slice(middle)].map((half) => [{ workspaceId, rows: half }]);
}
