import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseUnavailable } from '../database-unavailable.ts';
import { answerRow, type BatchRow } from './append-batch.ts';
import { AppendContended, AppendRowRefused, EventWorkspaceMissing } from './event-errors.ts';
import type { AppendedRow, EventStore, HeldRow } from './event-store.ts';

/** Told of each workspace whose log has grown, once it is on disk, with its newest sequence. */
export type OnCommitted = (workspaceId: string, lastSequence: number) => void;

/** Tries of one statement, the first included, and the time after which none is begun. */
const triesMax = 3;
const retryForMs = 2_000;
/** How long a batch is halved to find the row whose lock cannot be had, at 1 s a lock. */
const halveForMs = 10_000;

/**
 * Writes a batch and answers every create in it. Never rejects.
 *
 * - A lost connection leaves the outcome unknown: rows with a key are sent again, and come back as
 *   created or as replays; rows without one are answered with DatabaseUnavailable.
 * - A row that the database refuses takes down the batch; the batch is halved until that row is alone,
 *   so its neighbours are stored all the same. A lock that cannot be had is isolated in the same way.
 */
export async function writeBatch(
  store: EventStore,
  rows: readonly BatchRow[],
  onCommitted: OnCommitted,
  startedAt: number = performance.now(),
): Promise<void> {
  if (rows.length === 0) return;
  try {
    const { written, results } = await append(store, rows);
    tellCommitted(results, onCommitted);
    await answerRows(store, written, results);
  } catch (error) {
    if (rows.length > 1 && isDivisible(error, startedAt)) {
      const middle = rows.length >> 1;
      await writeBatch(store, rows.slice(0, middle), onCommitted, startedAt);
      await writeBatch(store, rows.slice(middle), onCommitted, startedAt);
      return;
    }
    for (const row of rows) rejectRow(row, error);
  }
}

function tellCommitted(results: readonly AppendedRow[], onCommitted: OnCommitted): void {
  const grown = new Map<string, number>();
  for (const result of results) {
    if (result.kind !== 'created') continue;
    const { workspaceId, sequence } = result.event;
    grown.set(workspaceId, Math.max(sequence, grown.get(workspaceId) ?? 0));
  }
  for (const [workspaceId, lastSequence] of grown) onCommitted(workspaceId, lastSequence);
}

function isDivisible(error: unknown, startedAt: number): boolean {
  if (error instanceof AppendRowRefused) return true;
  return error instanceof AppendContended && performance.now() - startedAt < halveForMs;
}

/** Appends with retries; `written` are the rows that the results belong to. */
async function append(
  store: EventStore,
  rows: readonly BatchRow[],
): Promise<{ written: readonly BatchRow[]; results: AppendedRow[] }> {
  const startedAt = performance.now();
  let written = rows;
  for (let attempt = 1; ; attempt++) {
    try {
      const results = await store.append(
        written.map(([first]) => first.event),
        written.map(([first]) => first.turn),
      );
      return { written, results };
    } catch (error) {
      const last = attempt >= triesMax || performance.now() - startedAt > retryForMs;
      if (last || !isWorthRetrying(error, written)) throw error;
      if (error instanceof DatabaseUnavailable && error.sent) {
        written = rejectKeyless(written, error);
      }
      await delay(25 * 2 ** attempt * (0.5 + Math.random()));
    }
  }
}

function isWorthRetrying(error: unknown, rows: readonly BatchRow[]): boolean {
  // A contended batch of many is halved instead, which finds the row that is stuck.
  if (error instanceof AppendContended) return rows.length === 1;
  return error instanceof DatabaseUnavailable;
}

function rejectKeyless(rows: readonly BatchRow[], error: unknown): readonly BatchRow[] {
  for (const row of rows) {
    if (row[0].event.idempotencyKey === undefined) rejectRow(row, error);
  }
  return rows.filter(([first]) => first.event.idempotencyKey !== undefined);
}

function rejectRow(row: BatchRow, error: unknown): void {
  for (const one of row) {
    const missing = error instanceof AppendRowRefused && error.workspaceMissing;
    one.reject(missing ? new EventWorkspaceMissing(one.event.workspaceId) : error);
  }
}

/** Answers what was created at once, and what a key holds when its original has been read. */
async function answerRows(
  store: EventStore,
  rows: readonly BatchRow[],
  results: readonly AppendedRow[],
): Promise<void> {
  const held: [BatchRow, HeldRow][] = [];
  rows.forEach((row, index) => {
    const result = results[index] as AppendedRow;
    if (result.kind === 'created') answerRow(row, result, undefined);
    else held.push([row, result]);
  });
  if (held.length === 0) return;
  try {
    const originals = await store.read(held.map(([, { eventId }]) => eventId));
    for (const [row, result] of held) answerRow(row, result, originals.get(result.eventId));
  } catch (error) {
    for (const [row] of held) rejectRow(row, error);
  }
}
