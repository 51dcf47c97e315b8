import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseUnavailable } from '../../database-unavailable.ts';
import type { LoopTurns } from '../../loop-turns.ts';
import type { Observer } from '../../observer.ts';
import type { Event } from '../event.ts';
import { AppendContended, AppendRowRefused, EventWorkspaceMissing } from '../event-errors.ts';
import type { EventStore } from '../event-store.ts';
import { answerRows } from './append-answers.ts';
import { type BatchPart, type BatchRow, halvesOf, hasManyRows } from './append-batch.ts';
import { appendRows } from './append-rows.ts';
import type { AppendedRow } from './append-statements.ts';

/** Told of each workspace whose log has grown, once it is on disk, with its newest sequence and what is new, in order. */
export type OnCommitted = (
  workspaceId: string,
  lastSequence: number,
  events: readonly Event[],
) => void;

/** One batch on its way: how long it may take, and who is told what becomes of its workspaces. */
export interface Flight {
  /** How long it waits for a lock. */
  readonly lockMsMax: number;
  /** When all of it must have been answered, on the clock of `performance.now()`. */
  readonly endsAtMs: number;
  /** It holds one workspace, of which it is known that a lock of it could not be had. */
  readonly isDetour: boolean;
  /** Nothing more is written of this workspace by this flight: stored, refused, or put back. */
  readonly onLeft: (workspaceId: string, how: 'done' | 'locked') => void;
}

type Counters = Awaited<ReturnType<EventStore['inspectCounters']>>;

export interface AppendWriterDeps {
  readonly store: EventStore;
  readonly onCommitted: OnCommitted;
  readonly turns: LoopTurns;
  readonly observer: Pick<Observer, 'batchWritten'>;
}

export interface AppendWriter {
  /** Writes a batch and answers, or puts back, every create in it. Never rejects. */
  write(parts: readonly BatchPart[], flight: Flight): Promise<void>;
}

/** Tries of one statement, the first included, and the time after which none is begun. */
const triesMax = 3;
const retryForMs = 2_000;
/** Statements that find the rows which PostgreSQL refuses: enough for four of them among 500. */
const halvingsMax = 80;

/**
 * - A lost connection leaves the outcome unknown: rows with a key are sent again, and come back as
 *   created or as replays; rows without one are answered with DatabaseUnavailable.
 * - A workspace that is locked takes none of its neighbours with it: one look at the counters tells which
 *   those are, they are put back, and the others are written without them.
 * - A workspace that is missing is found by the same look.
 * - A row that the database refuses takes down the batch; it is halved, by workspaces and then by rows, until
 *   that row is alone, so its neighbours are stored all the same.
 */
export function createAppendWriter(deps: AppendWriterDeps): AppendWriter {
  return { write: (parts, flight) => new BatchWriting(deps, flight).write(parts) };
}

class BatchWriting {
  readonly #store: EventStore;
  readonly #observer: AppendWriterDeps['observer'];
  readonly #onCommitted: OnCommitted;
  readonly #turns: LoopTurns;
  readonly #flight: Flight;
  /** Workspaces whose rows were halved: how many parts of them are under way, and whether one is locked. */
  readonly #halved = new Map<string, { parts: number; isLocked: boolean }>();
  /** Rows without a key whose answer was lost, and who were told so: written again, they might be there twice. */
  readonly #lost = new Set<BatchRow>();
  #halvings = 0;

  constructor({ store, onCommitted, turns, observer }: AppendWriterDeps, flight: Flight) {
    this.#store = store;
    this.#observer = observer;
    this.#onCommitted = onCommitted;
    this.#turns = turns;
    this.#flight = flight;
  }

  async write(parts: readonly BatchPart[]): Promise<void> {
    if (parts.length === 0) return;
    try {
      const { written, results } = await this.#append(parts.flatMap(({ rows }) => rows));
      this.#tellCommitted(results);
      for (const part of parts) this.#leave(part);
      await answerRows(written, results, {
        store: this.#store,
        turns: this.#turns,
        restMs: () => this.#restMs(),
      });
    } catch (error) {
      await this.#divide(parts, error);
    }
  }

  async #divide(tried: readonly BatchPart[], error: unknown): Promise<void> {
    const parts = this.#withoutLost(tried);
    if (parts.length === 0) return;
    const isMissing = error instanceof AppendRowRefused && error.workspaceMissing;
    if (error instanceof AppendContended || isMissing) {
      const counters = await this.#inspect(parts).catch((cause: unknown) => {
        for (const part of parts) this.#fail(part, cause);
      });
      if (counters === undefined) return;
      if (isMissing) await this.#withoutMissing(parts, counters, error);
      else await this.#withoutLocked(parts, counters, error as AppendContended);
    } else if (error instanceof AppendRowRefused) {
      await this.#halve(parts, error);
    } else {
      for (const part of parts) this.#fail(part, error);
    }
  }

  /** What is still to be written; workspaces without any of that are left. */
  #withoutLost(tried: readonly BatchPart[]): readonly BatchPart[] {
    if (this.#lost.size === 0) return tried;
    const parts = tried.map(({ workspaceId, rows }) => ({
      workspaceId,
      rows: rows.filter((row) => !this.#lost.has(row)),
    }));
    for (const part of parts) if (part.rows.length === 0) this.#leave(part);
    return parts.filter(({ rows }) => rows.length > 0);
  }

  /** Whoever is not locked goes on at once; where nobody is, the lock is that of a key. */
  async #withoutLocked(
    parts: readonly BatchPart[],
    counters: Counters,
    error: AppendContended,
  ): Promise<void> {
    const isLocked = ({ workspaceId }: BatchPart) => counters.get(workspaceId) === 'locked';
    const locked = parts.filter(isLocked);
    if (locked.length === 0 && this.#flight.isDetour && hasManyRows(parts)) {
      return this.#halve(parts, error);
    }
    const others = locked.length === 0 ? [] : parts.filter((part) => !isLocked(part));
    for (const part of locked.length === 0 ? parts : locked) this.#fail(part, error);
    await this.write(others);
  }

  async #withoutMissing(
    parts: readonly BatchPart[],
    counters: Counters,
    error: AppendRowRefused,
  ): Promise<void> {
    const isMissing = ({ workspaceId }: BatchPart) => !counters.has(workspaceId);
    const missing = parts.filter(isMissing);
    if (missing.length === 0) return this.#halve(parts, error);
    for (const part of missing) this.#fail(part, new EventWorkspaceMissing(part.workspaceId));
    await this.write(parts.filter((part) => !isMissing(part)));
  }

  async #halve(parts: readonly BatchPart[], error: unknown): Promise<void> {
    const halves = halvesOf(parts);
    this.#halvings += 2;
    if (halves === undefined || this.#halvings > halvingsMax) {
      for (const part of parts) this.#fail(part, error);
      return;
    }
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) this.#expectOneMore(only.workspaceId);
    for (const half of halves) await this.write(half);
  }

  #expectOneMore(workspaceId: string): void {
    const halved = this.#halved.get(workspaceId);
    if (halved !== undefined) halved.parts++;
    else this.#halved.set(workspaceId, { parts: 2, isLocked: false });
  }

  #inspect(parts: readonly BatchPart[]): Promise<Counters> {
    return this.#store.inspectCounters(
      parts.map(({ workspaceId }) => workspaceId),
      this.#restMs(),
    );
  }

  #restMs(): number {
    return Math.max(0, this.#flight.endsAtMs - performance.now());
  }

  /** Told once for each workspace, with the last of its parts: another flight may have it then. */
  #leave({ workspaceId }: BatchPart, isLocked = false): void {
    const halved = this.#halved.get(workspaceId) ?? { parts: 1, isLocked };
    halved.isLocked ||= isLocked;
    if (--halved.parts === 0) this.#flight.onLeft(workspaceId, halved.isLocked ? 'locked' : 'done');
  }

  #fail(part: BatchPart, error: unknown): void {
    const isLocked = error instanceof AppendContended;
    if (!isLocked) this.#leave(part);
    for (const row of part.rows) {
      for (const one of row) {
        if (isLocked) one.putBack(error);
        else one.reject(error);
      }
    }
    if (isLocked) this.#leave(part, true);
  }

  #tellCommitted(results: readonly AppendedRow[]): void {
    const grown = new Map<string, Event[]>();
    for (const result of results) {
      if (result.kind !== 'created') continue;
      const events = grown.get(result.event.workspaceId);
      if (events === undefined) grown.set(result.event.workspaceId, [result.event]);
      else events.push(result.event);
    }
    for (const [workspaceId, events] of grown) {
      // They come in the order of their keys.
      events.sort((a, b) => a.sequence - b.sequence);
      this.#onCommitted(workspaceId, (events.at(-1) as Event).sequence, events);
    }
  }

  /** Appends with retries; `written` are the rows that the results belong to. */
  async #append(
    rows: readonly BatchRow[],
  ): Promise<{ written: readonly BatchRow[]; results: AppendedRow[] }> {
    const startedAt = performance.now();
    let written = rows;
    for (let attempt = 1; ; attempt++) {
      try {
        const patience = { lockMsMax: this.#flight.lockMsMax, timeoutMs: this.#restMs() };
        const results = await appendRows(this.#store, written, patience, this.#observer);
        return { written, results };
      } catch (error) {
        const last = attempt >= triesMax || performance.now() - startedAt > retryForMs;
        if (last || !(error instanceof DatabaseUnavailable)) throw error;
        if (error.sent) written = this.#withoutKeyless(written, error);
        if (written.length === 0) return { written, results: [] };
        await delay(25 * 2 ** attempt * (0.5 + Math.random()));
      }
    }
  }

  /** After a lost answer: who has no key is told so, and who has one is asked for again. */
  #withoutKeyless(rows: readonly BatchRow[], error: DatabaseUnavailable): readonly BatchRow[] {
    return rows.filter((row) => {
      const isKeyless = row[0].event.idempotencyKey === undefined;
      if (isKeyless) this.#lost.add(row);
      for (const one of row) {
        if (isKeyless) one.reject(error);
        else one.noteLost();
      }
      return !isKeyless;
    });
  }
}
