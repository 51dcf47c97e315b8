import type { Directory } from './directory.ts';
import type { LogReach } from './work-store.ts';

/** Cursors by how old the oldest is of what they have not gone through. */
export interface LagCounts {
  readonly none: number;
  readonly under_1m: number;
  readonly under_10m: number;
  readonly under_1h: number;
  readonly under_1d: number;
  readonly over_1d: number;
}

export interface Lags {
  readonly cursors: LagCounts;
  /** That of the cursor that is furthest behind; 0 where none is. */
  readonly maxMs: number;
}

/**
 * How far the live cursors of endpoints are behind their logs, in time: since when this process knows that the log has
 * grown past them. It asks nobody for that, and keeps nothing unless somebody asks: what is older than the process, or
 * the first question, counts from there.
 */
export interface CursorLags {
  /** Where the logs end that have cursors; goes through all of these, once a second, and keeps something of those that are behind. */
  look(logs: ReadonlyMap<string, LogReach>): void;
  /** As of the last look. */
  read(): Lags;
}

/** At that time a log was seen to have reached that sequence. */
interface Mark {
  readonly sequence: number;
  readonly atMs: number;
}

/** Of one log. Where there are more, two become one: after days, ages are up to a fifth too high. */
const marksMax = 64;
/** Who has not asked for this time asks no more. */
const askedMsMax = 10 * 60_000;
const minute = 60_000;

const nothing: Lags = {
  cursors: { none: 0, under_1m: 0, under_10m: 0, under_1h: 0, under_1d: 0, over_1d: 0 },
  maxMs: 0,
};

export function createCursorLags(
  directory: Pick<Directory, 'cursorsOf'>,
  now: () => number = () => performance.now(),
): CursorLags {
  let marksOf = new Map<string, Mark[]>();
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let lags = nothing;

  function look(logs: ReadonlyMap<string, LogReach>): void {
    const nowMs = now();
    const cursors: Record<keyof LagCounts, number> = { ...nothing.cursors };
    let maxMs = 0;
    const kept = new Map<string, Mark[]>();
    for (const [workspaceId, { lastSequence }] of logs) {
      const behind: number[] = [];
      for (const cursor of directory.cursorsOf(workspaceId)) {
        if (cursor.isReplay) continue;
        if (cursor.scanned < lastSequence) behind.push(cursor.scanned);
        else cursors.none++;
      }
      if (behind.length === 0) continue;
      const grown = { sequence: lastSequence, atMs: nowMs };
      const marks = addMark(marksOf.get(workspaceId) ?? [], grown);
      const lowest = Math.min(...behind);
      kept.set(workspaceId, marks.slice(marks.findIndex(({ sequence }) => sequence > lowest)));
      for (const scanned of behind) {
        const { atMs } = marks.find(({ sequence }) => sequence > scanned) ?? grown;
        cursors[classOf(nowMs - atMs)]++;
        maxMs = Math.max(maxMs, nowMs - atMs);
      }
    }
    marksOf = kept;
    lags = { cursors, maxMs };
  }

  return {
    look(logs) {
      if (now() - askedAtMs <= askedMsMax) return look(logs);
      marksOf = new Map();
      lags = nothing;
    },
    read() {
      askedAtMs = now();
      return lags;
    },
  };
}

function addMark(marks: readonly Mark[], mark: Mark): Mark[] {
  const last = marks.at(-1)?.sequence ?? 0;
  if (last === mark.sequence) return [...marks];
  // The log was set back: nobody knows since when it is where it is.
  if (last > mark.sequence) return [mark];
  return marks.length < marksMax ? [...marks, mark] : [...thinned(marks, mark.atMs), mark];
}

/** Makes one of those two that lie closest together for their age. */
function thinned(marks: readonly Mark[], nowMs: number): Mark[] {
  const apart = marks.slice(1).map((next, index) => {
    const { atMs } = marks[index] as Mark;
    return (next.atMs - atMs) / (nowMs - atMs);
  });
  const first = apart.indexOf(Math.min(...apart));
  return marks.flatMap((mark, index) => {
    if (index === first) return [];
    return index === first + 1 ? [{ ...mark, atMs: (marks[first] as Mark).atMs }] : [mark];
  });
}

function classOf(ageMs: number): keyof LagCounts {
  if (ageMs < minute) return 'under_1m';
  if (ageMs < 10 * minute) return 'under_10m';
  if (ageMs < 60 * minute) return 'under_1h';
  return ageMs < 24 * 60 * minute ? 'under_1d' : 'over_1d';
}
