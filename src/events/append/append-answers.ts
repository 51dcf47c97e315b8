import type { LoopTurns } from '../../loop-turns.ts';
import { contentAgeMsMax } from '../content-age.ts';
import type { Event } from '../event.ts';
import { EventWorkspaceMissing, IdempotencyKeyReused } from '../event-errors.ts';
import type { EventStore } from '../event-store.ts';
import type { BatchRow, Waiting } from './append-batch.ts';
import type { AppendedRow, HeldRow } from './append-statements.ts';

/** What follows an answer is work as well: 500 at once would hold up everybody else for 50 ms. */
const answersAtOnceMax = 64;

export interface AnswerDeps {
  readonly store: Pick<EventStore, 'read' | 'inspectCounters'>;
  readonly turns: LoopTurns;
  /** How long what is left may take. */
  readonly restMs: () => number;
}

/** Answers what was created at once, and what a key holds when its original has been read. */
export async function answerRows(
  rows: readonly BatchRow[],
  results: readonly AppendedRow[],
  { store, turns, restMs }: AnswerDeps,
): Promise<void> {
  const held: HeldAnswer[] = [];
  const isMany = rows.length > answersAtOnceMax;
  for (const [index, row] of rows.entries()) {
    const result = results[index] as AppendedRow;
    if (result.kind === 'held') held.push({ row, holder: result });
    else if (!isMany) answerRow(row, result, undefined);
    else turns.run(result.event.workspaceId, () => answerRow(row, result, undefined));
  }
  await answerHeldRows(store, held, restMs);
}

/** A row whose key holds an event already, and what holds it. */
interface HeldAnswer {
  readonly row: BatchRow;
  readonly holder: HeldRow;
}

/**
 * Answers rows whose keys are held. Only the originals of replays are read, as much at a time as the store
 * brings, and each is let go of before the next ones come; a key that was used for other content is refused
 * without them. What took so long that it may have been erased meanwhile is read again.
 */
async function answerHeldRows(
  store: AnswerDeps['store'],
  held: readonly HeldAnswer[],
  restMs: () => number,
): Promise<void> {
  const replays = new Map<string, HeldAnswer>();
  for (const one of held) {
    if (isReplay(one)) replays.set(one.holder.eventId, one);
    else answerRow(one.row, one.holder, undefined);
  }
  try {
    while (replays.size > 0) {
      const ids = [...replays.keys()];
      const askedAtMs = performance.now();
      const { events, leftOut } = await store.read(ids, restMs());
      if (performance.now() - askedAtMs > contentAgeMsMax) continue;
      const found = new Set([...events.keys(), ...leftOut]);
      const lacking = [...replays.values()].filter(({ holder }) => !found.has(holder.eventId));
      const absences = await explainAbsences(store, lacking, restMs);
      for (const [id, original] of [...events, ...absences]) {
        const { row, holder } = replays.get(id) as HeldAnswer;
        replays.delete(id);
        answerRow(row, holder, original);
      }
    }
  } catch (error) {
    for (const { row } of replays.values()) for (const one of row) one.reject(error);
  }
}

/** Why originals are not there: whoever repeats a create may not know yet that its workspace was deleted. */
async function explainAbsences(
  store: AnswerDeps['store'],
  lacking: readonly HeldAnswer[],
  restMs: () => number,
): Promise<[eventId: string, error: Error][]> {
  if (lacking.length === 0) return [];
  const workspaceIdOf = ({ row }: HeldAnswer) => row[0].event.workspaceId;
  const counters = await store.inspectCounters([...new Set(lacking.map(workspaceIdOf))], restMs());
  return lacking.map((one) => {
    const { eventId } = one.holder;
    if (!counters.has(workspaceIdOf(one))) {
      return [eventId, new EventWorkspaceMissing(workspaceIdOf(one))];
    }
    return [eventId, new Error(`the original of a replay, ${eventId}, is missing`)];
  });
}

/** Whether one of the creates that share the row has the content of what holds the key. */
function isReplay({ row, holder }: HeldAnswer): boolean {
  return row.some(({ event }) => event.fingerprint?.equals(holder.fingerprint) === true);
}

/** What holds a key, or why it is not there; undefined where nobody is to be shown it. */
type Original = Event | Error | undefined;

/** Answers every create of a row; `original` is the event that holds the key, where one does. */
function answerRow(row: BatchRow, result: AppendedRow, original: Original): void {
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

function answerHeld(waiting: Waiting, holder: Holder, original: Original): void {
  if (waiting.event.fingerprint?.equals(holder.fingerprint) !== true) {
    waiting.reject(new IdempotencyKeyReused(holder.eventId, holder.expiresAt));
  } else if (original instanceof Error || original === undefined) {
    waiting.reject(original);
  } else {
    waiting.resolve({
      event: original,
      replayed: true,
      idempotencyKeyExpiresAt: holder.expiresAt,
    });
  }
}
