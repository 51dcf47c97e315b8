import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { HasLeft } from './left-behind.ts';
import { leftForDropUntil, maybePast, type TimePart } from './left-for-drop.ts';
import type { RetainedWorkspace, RetentionStore } from './retention-store.ts';

/** The partitions of events, as far as retention knows them. */
export interface Partitions {
  /** By their time; those that are being removed are left out. */
  list(): Promise<readonly TimePart[]>;
  /** Removes one with all that is in it, now, or soon where somebody still reads it. */
  retire(name: string): Promise<unknown>;
}

/** Who is told what went. */
export interface RetentionReports {
  onPartitionRetired(name: string): void;
  onWorkspaceForgotten(workspaceId: string): void;
}

/**
 * Rounds by which events go that retention is past, and all that is left of workspaces that were deleted. Any number of
 * processes may carry them out at once: what one does the others find done. Each ends early when its signal aborts.
 */
export interface Retention {
  /** Moves the floors of all logs to where they belong by now: from then on nobody reads what is below. */
  moveFloors(signal: AbortSignal): Promise<void>;
  /**
   * Deletes the events that are past, in small batches, but for those that will soon go with their partition; and with
   * their events the workspaces that were deleted.
   *
   * @returns how many events.
   */
  removeRows(signal: AbortSignal): Promise<number>;
  /** Removes the partitions that everybody's retention is past. */
  removePartitions(signal: AbortSignal): Promise<void>;
}

export interface RetentionDeps {
  readonly store: RetentionStore;
  readonly partitions: Partitions;
  /** Whether another feature still has something of a workspace that was deleted. */
  readonly hasLeft: HasLeft;
  readonly report: RetentionReports;
}

/** Workspaces that are looked through in one statement, and in one page. */
const workspacesAtOnce = 100;
/** A batch is made as large as takes about this long. */
const batchMs = 25;
const batchRowsMin = 50;
const batchRowsMax = 2_000;
const keysAtOnce = 1_000;
/** Who keeps up with creates rests as long as it has worked; nobody rests longer than this. */
const restMsMax = 1_000;
/** Workspaces that are remembered as clean up to a floor, so that a round looks only at those that have moved. */
const cleanMax = 100_000;

/**
 * What went in one go. What is left of it: nothing; what somebody holds, for the next round; or whatever there was when it was
 * told to stop, or found another process deleting.
 */
interface Deleted {
  readonly count: number;
  readonly left: 'nothing' | 'held' | 'stop';
}

export function createRetention(deps: RetentionDeps): Retention {
  const { store, partitions, hasLeft, report } = deps;
  /** Up to which floor, and from which time on, a workspace has no past rows. */
  const clean = new LRUCache<string, string>({ max: cleanMax });
  let batchRows = batchRowsMin;

  async function* retained(): AsyncGenerator<RetainedWorkspace[]> {
    for (let afterId = ''; ; ) {
      const page = await store.listRetained(afterId, workspacesAtOnce);
      const last = page.at(-1);
      if (last === undefined) return;
      yield page;
      afterId = last.id;
    }
  }

  /** Deletes until nothing of some workspaces is past, it is told to end, or another process is found deleting. */
  async function deletePast(
    workspaces: readonly RetainedWorkspace[],
    from: Date | undefined,
    signal: AbortSignal,
  ): Promise<Deleted> {
    let count = 0;
    if (workspaces.length === 0) return { count, left: 'nothing' };
    while (!signal.aborted) {
      const limit = batchRows;
      const startedAtMs = performance.now();
      const deleted = await store.deletePast(workspaces, from, limit);
      if (deleted === 'held') return { count, left: 'held' };
      if (deleted === 'busy') break;
      count += deleted;
      if (deleted < limit) return { count, left: 'nothing' };
      const tookMs = performance.now() - startedAtMs;
      batchRows = nextBatchRows(limit, tookMs);
      await rest(tookMs, signal);
    }
    return { count, left: 'stop' };
  }

  async function deleteKeys({ id }: RetainedWorkspace, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAtMs = performance.now();
      const count = await store.deleteKeys(id, keysAtOnce);
      if (count < keysAtOnce) return;
      await rest(performance.now() - startedAtMs, signal);
    }
  }

  /** Its id is wanted back: it waits for no partition. */
  async function removeDeleted(one: RetainedWorkspace, signal: AbortSignal): Promise<Deleted> {
    const deleted = await deletePast([one], undefined, signal);
    if (deleted.left !== 'nothing') return deleted;
    await deleteKeys(one, signal);
    if (await hasLeft(one.id)) return deleted;
    if (await store.forgetWorkspace(one.id)) report.onWorkspaceForgotten(one.id);
    return deleted;
  }

  async function removePast(
    page: readonly RetainedWorkspace[],
    from: Date | undefined,
    signal: AbortSignal,
  ): Promise<Deleted> {
    const markOf = (one: RetainedWorkspace) => `${one.firstSequence} ${from?.getTime()}`;
    const due = page.filter((one) => !one.isDeleted && clean.get(one.id) !== markOf(one));
    const deleted = await deletePast(due, from, signal);
    if (deleted.left === 'nothing') for (const one of due) clean.set(one.id, markOf(one));
    return deleted;
  }

  return {
    async moveFloors(signal) {
      let afterId: string | undefined = '';
      while (afterId !== undefined && !signal.aborted) {
        afterId = await store.moveFloors(afterId);
      }
    },

    async removeRows(signal) {
      const { longestDays, now } = await store.readTerms();
      const from = leftForDropUntil(await partitions.list(), longestDays, now);
      let count = 0;
      for await (const page of retained()) {
        const ofDeleted = page.filter(({ isDeleted }) => isDeleted);
        for (const remove of [
          () => removePast(page, from, signal),
          ...ofDeleted.map((one) => () => removeDeleted(one, signal)),
        ]) {
          const deleted = await remove();
          count += deleted.count;
          if (deleted.left === 'stop') return count;
        }
      }
      return count;
    },

    async removePartitions(signal) {
      const { now } = await store.readTerms();
      for (const { name, from, until } of maybePast(await partitions.list(), now)) {
        if (signal.aborted) return;
        if (await store.isKept(from, until)) continue;
        await partitions.retire(name);
        report.onPartitionRetired(name);
      }
    },
  };
}

function nextBatchRows(rows: number, tookMs: number): number {
  const fitting = Math.round((rows * batchMs) / Math.max(1, tookMs));
  return Math.min(batchRowsMax, Math.max(batchRowsMin, Math.min(2 * rows, fitting)));
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return delay(Math.min(restMsMax, ms), undefined, { signal }).catch(() => undefined);
}
