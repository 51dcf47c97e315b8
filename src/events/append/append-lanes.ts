import { isFairShare } from '../../fair-share.ts';
import { type AppendContended, AppendQueueFull } from '../event-errors.ts';
import type { Waiting } from './append-batch.ts';

/** What one statement writes at the most. */
const batchRowsMax = 500;
const batchBytesMax = 4 * 1024 * 1024;
/** What may wait: two thirds of a second of writing at 25,000 rows a second. One workspace gets half of it. */
const waitingRowsMax = 16_000;
const usualBytesMax = 64 * 1024 * 1024;

/** More than this of one workspace is written by itself: it takes PostgreSQL longer than all the others. */
const crowdRowsMin = 64;

/** A create in the queue. */
export interface Entry extends Waiting {
  state: 'waiting' | 'sent' | 'answered';
  /** Why it was put back the last time. */
  contended: AppendContended | undefined;
}

/** The creates of one workspace that wait, in the order in which they came. */
interface Lane {
  readonly entries: Set<Entry>;
  bytes: number;
}

/**
 * Creates that wait, a lane for each workspace. A workspace is in one flight at a time. One that was found
 * locked waits for a detour, by which it is written alone, until it has been written.
 */
export interface AppendLanes {
  /** What waits. */
  readonly rows: number;
  readonly bytes: number;
  /** Workspaces that were found locked and have creates waiting. */
  readonly lockedCount: number;
  /** @throws AppendQueueFull when it would be more than a fair share of the room. */
  enter(entry: Entry): void;
  /** Takes an entry back in that was sent, whatever room there is. */
  reenter(entry: Entry): void;
  leave(entry: Entry): void;
  /** Takes the next batch, of workspaces that are neither in flight nor locked; none when there is none. */
  takeBatch(): Entry[];
  /** Takes the next batch of one workspace that was found locked. */
  takeDetour(): Entry[];
  /** The workspace is in flight no more. */
  land(workspaceId: string, how: 'done' | 'locked'): void;
  /** Those who have waited since before a time. */
  waitingSince(timeMs: number): Entry[];
}

/** @param waitingBytesMax of the content of all creates that wait. */
export function createAppendLanes(waitingBytesMax: number = usualBytesMax): AppendLanes {
  /** Lanes of workspaces that had nothing waiting, and the others; each the longest unserved first. */
  const fresh = new Map<string, Lane>();
  const busy = new Map<string, Lane>();
  /** Workspaces that were found locked, the longest untried first, and their lanes. */
  const locked = new Map<string, Lane>();
  const inFlight = new Set<string>();
  let isTurnOfCrowd = false;
  let waitingRows = 0;
  let waitingBytes = 0;

  function laneOf(workspaceId: string): Lane | undefined {
    return locked.get(workspaceId) ?? fresh.get(workspaceId) ?? busy.get(workspaceId);
  }

  function open(workspaceId: string): Lane {
    const lane = { entries: new Set<Entry>(), bytes: 0 };
    // Whoever is being written right now is no newcomer.
    (inFlight.has(workspaceId) ? busy : fresh).set(workspaceId, lane);
    return lane;
  }

  function put(entry: Entry, lane: Lane): void {
    const { contentBytes } = entry.event;
    lane.entries.add(entry);
    lane.bytes += contentBytes;
    waitingRows++;
    waitingBytes += contentBytes;
  }

  function leave(entry: Entry): void {
    const { workspaceId, contentBytes } = entry.event;
    const lane = laneOf(workspaceId);
    if (lane?.entries.delete(entry) !== true) return;
    lane.bytes -= contentBytes;
    waitingRows--;
    waitingBytes -= contentBytes;
    if (lane.entries.size > 0) return;
    fresh.delete(workspaceId);
    busy.delete(workspaceId);
  }

  /** Takes of one lane what the batch has room for. */
  function take(batch: Batch, workspaceId: string, lane: Lane, share: number): void {
    for (const entry of lane.entries) {
      const { contentBytes } = entry.event;
      batch.isFull =
        batch.entries.length > 0 &&
        (batch.entries.length >= batchRowsMax * share ||
          batch.bytes + contentBytes > batchBytesMax * share);
      if (batch.isFull) return;
      leave(entry);
      entry.state = 'sent';
      batch.entries.push(entry);
      batch.bytes += contentBytes;
      batch.workspaceIds.add(workspaceId);
      inFlight.add(workspaceId);
    }
  }

  /** Takes whole lanes without a crowd, as far as the batch has room. */
  function takeLanes(batch: Batch, lanes: Map<string, Lane>, share: number): void {
    batch.isFull = false;
    for (const [workspaceId, lane] of lanes) {
      if (inFlight.has(workspaceId) && !batch.workspaceIds.has(workspaceId)) continue;
      if (isCrowd(lane) && !batch.workspaceIds.has(workspaceId)) continue;
      take(batch, workspaceId, lane, share);
      if (!batch.isFull) continue;
      if (!batch.workspaceIds.has(workspaceId)) return;
      // What is left of this lane goes behind the others.
      lanes.delete(workspaceId);
      busy.set(workspaceId, lane);
      return;
    }
  }

  /** Takes of the crowd that has waited for its turn longest. */
  function takeCrowd(batch: Batch): void {
    for (const lanes of [fresh, busy]) {
      for (const [workspaceId, lane] of lanes) {
        if (inFlight.has(workspaceId) || !isCrowd(lane)) continue;
        take(batch, workspaceId, lane, 1);
        lanes.delete(workspaceId);
        if (lane.entries.size > 0) busy.set(workspaceId, lane);
        return;
      }
    }
  }

  return {
    get rows() {
      return waitingRows;
    },
    get bytes() {
      return waitingBytes;
    },
    get lockedCount() {
      return locked.size;
    },

    enter(entry) {
      const { workspaceId, contentBytes } = entry.event;
      const lane = laneOf(workspaceId);
      const fits =
        isFairShare({
          held: lane?.entries.size ?? 0,
          wanted: 1,
          taken: waitingRows,
          room: waitingRowsMax,
        }) &&
        isFairShare({
          held: lane?.bytes ?? 0,
          wanted: contentBytes,
          taken: waitingBytes,
          room: waitingBytesMax,
        });
      if (!fits) throw new AppendQueueFull();
      put(entry, lane ?? open(workspaceId));
    },

    reenter(entry) {
      const { workspaceId } = entry.event;
      entry.state = 'waiting';
      put(entry, laneOf(workspaceId) ?? open(workspaceId));
    },

    leave,

    takeBatch() {
      const batch = newBatch();
      // In turn, where there are both: whoever comes alone does not wait for what a crowd has written.
      if (isTurnOfCrowd) takeCrowd(batch);
      isTurnOfCrowd = batch.entries.length === 0;
      if (!isTurnOfCrowd) return batch.entries;
      // Newcomers first, and half of the batch for the others all the same.
      takeLanes(batch, fresh, 0.5);
      takeLanes(batch, busy, 1);
      if (!batch.isFull) takeLanes(batch, fresh, 1);
      if (batch.entries.length === 0) takeCrowd(batch);
      return batch.entries;
    },

    takeDetour() {
      const batch = newBatch();
      for (const [workspaceId, lane] of locked) {
        if (inFlight.has(workspaceId)) continue;
        if (lane.entries.size === 0) {
          // Its creates have given up; the next ones try the usual way.
          locked.delete(workspaceId);
          continue;
        }
        take(batch, workspaceId, lane, 1);
        break;
      }
      return batch.entries;
    },

    land(workspaceId, how) {
      inFlight.delete(workspaceId);
      const lane = laneOf(workspaceId);
      fresh.delete(workspaceId);
      busy.delete(workspaceId);
      locked.delete(workspaceId);
      if (lane === undefined) return;
      if (how === 'done') {
        if (lane.entries.size > 0) busy.set(workspaceId, lane);
        return;
      }
      const inOrder = [...lane.entries].sort((a, b) => a.turn - b.turn);
      locked.set(workspaceId, { entries: new Set(inOrder), bytes: lane.bytes });
    },

    waitingSince(timeMs) {
      const late: Entry[] = [];
      for (const lanes of [fresh, busy, locked]) {
        for (const { entries } of lanes.values()) {
          for (const entry of entries) {
            if (entry.askedAtMs > timeMs) break;
            late.push(entry);
          }
        }
      }
      return late;
    },
  };
}

function isCrowd({ entries }: Lane): boolean {
  return entries.size >= crowdRowsMin;
}

interface Batch {
  readonly entries: Entry[];
  readonly workspaceIds: Set<string>;
  bytes: number;
  isFull: boolean;
}

function newBatch(): Batch {
  return { entries: [], workspaceIds: new Set(), bytes: 0, isFull: false };
}
