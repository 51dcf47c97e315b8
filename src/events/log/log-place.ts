import type { Event } from '../event.ts';
import { EventWorkspaceMissing } from '../event-errors.ts';

/** A place in the log of a workspace: after an event, or where the log begins. */
export interface LogPlace {
  /** 0: where the log begins. */
  readonly sequence: number;
  /** The event of the sequence, where it is known: after a restore another one may have it. */
  readonly eventId: string | undefined;
  /** When that event was created, where it is known; milliseconds since 1970. */
  readonly createdAtMs: number | undefined;
}

/** What a workspace says of its log beside the events. */
export interface LogState {
  /** The floor: the first sequence that retention keeps; one more than the newest when it keeps none. */
  readonly firstSequence: number;
  /** Counts the erasures: whatever was read under a lower one may hold what was erased since. */
  readonly revision: number;
  /** When it was asked for, on the clock of `performance.now()`: it was so then, or later. */
  readonly askedAtMs: number;
}

/** Where a log ends, and what its workspace says of it. */
export interface LogEnd extends LogPlace, LogState {}

/** Reads where the log of each workspace that exists ends; one that was deleted exists no more. */
export type ReadLogEnds = (workspaceIds: readonly string[]) => Promise<Map<string, LogEnd>>;

/** @throws EventWorkspaceMissing, DatabaseUnavailable */
export async function readLogEnd(
  store: { readonly readLogEnds: ReadLogEnds },
  workspaceId: string,
): Promise<LogEnd> {
  const end = (await store.readLogEnds([workspaceId])).get(workspaceId);
  if (end === undefined) throw new EventWorkspaceMissing(workspaceId);
  return end;
}

/** A query that takes longer holds up the next one no more: 1 s here and 4 s for the query make 5. */
const turnMsMax = 1_000;

/**
 * Gathers look-ups: while one query is in flight, the next one fills. Two thousand subscribers that come
 * back at once after a restart cost two queries and no crowd at the pool. What is answered was read after
 * it was asked for; the answer may hold other workspaces too.
 */
export function gatherLogEnds(read: ReadLogEnds): ReadLogEnds {
  let asked = new Set<string>();
  let running: Promise<unknown> = Promise.resolve();
  let next: ReturnType<ReadLogEnds> | undefined;

  function run(): ReturnType<ReadLogEnds> {
    const workspaceIds = [...asked];
    asked = new Set();
    next = undefined;
    const reading = read(workspaceIds);
    running = reading.catch(() => undefined);
    return reading;
  }

  return (workspaceIds) => {
    for (const id of workspaceIds) asked.add(id);
    next ??= atMost(turnMsMax, running).then(run);
    return next;
  };
}

/** Resolves with a promise that never rejects, or when the time is up. */
async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/**
 * Whether a log that ended at `before` ends at `now` because it was set back, as a restore does. One that
 * has grown past `before` again is told by who reads on: see `readLog`.
 */
export function isSetBack(before: LogPlace, now: LogPlace): boolean {
  if (now.sequence !== before.sequence) return now.sequence < before.sequence;
  return areOthers(before, now);
}

/** Whether two places with the same sequence are after different events, as far as these are known. */
export function areOthers(one: LogPlace, other: LogPlace): boolean {
  return differ(one.eventId, other.eventId) || differ(one.createdAtMs, other.createdAtMs);
}

function differ<T>(one: T | undefined, other: T | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

/** The place after an event. */
export function placeAfter({ sequence, id, createdAt }: Event): LogPlace {
  return { sequence, eventId: id, createdAtMs: createdAt.getTime() };
}

/** A place of which only the sequence is known. */
export function placeAt(sequence: number): LogPlace {
  return { sequence, eventId: undefined, createdAtMs: undefined };
}
