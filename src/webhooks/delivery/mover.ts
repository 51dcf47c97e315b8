import type { Courier } from './courier.ts';
import type { DeliveryStore } from './delivery-store.ts';
import type { Directory } from './directory.ts';
import type { LogParts } from './log-parts.ts';
import type { Moved } from './move-store.ts';
import type { Occupancy } from './occupancy.ts';
import type { Pace } from './pace.ts';
import { createPlanner, type Plan } from './planner.ts';
import type { DeliverySchedule } from './schedule.ts';
import type { Sender } from './sender.ts';
import { createStanding, type StandingFor } from './standing.ts';
import { createSubjectQueue } from './subject-queue.ts';
import { type Cursor, goalOf } from './target.ts';
import { toSendings } from './window-sendings.ts';

export interface MoverDeps {
  readonly store: Pick<DeliveryStore, 'move' | 'moveBySubject' | 'positions'>;
  readonly directory: Directory;
  readonly parts: LogParts;
  readonly courier: Pick<Courier, 'canSend' | 'sizeOf'>;
  readonly sender: Pick<Sender, 'sendWindow'>;
  readonly occupancy: Occupancy;
  readonly pace: Pace;
  readonly schedule: DeliverySchedule;
  readonly newUuid: () => string;
  /** Retention has taken what comes next of a cursor; resolves once that is past. */
  readonly onExpired: (cursor: Cursor) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** Moves cursors along their logs, and has sent what they find. */
export interface Mover {
  /** A log is committed up to a sequence, and kept from another one on. */
  reaches(workspaceId: string, lastSequence: number, firstSequence?: number): void;
  /** Up to where a log is known to be committed, from its growth or its cursors. */
  knownLast(workspaceId: string): number;
  /** A log ends earlier than it did. */
  setBack(workspaceId: string, lastSequence: number): void;
  /** Looks whether there is something to move; `isStale`: other processes may have moved it. */
  mark(workspaceId: string, isStale?: boolean): void;
  /** Marks every workspace with a cursor that is behind and may go on. */
  markAll(): void;
  /** An endpoint has room again; or, where it stood for another reason too, it may go on. */
  release(endpointId: string, why?: StandingFor): void;
  /** Whether a cursor of an endpoint waits for room there. */
  isShort(endpointId: string): boolean;
  /** Something was settled: who found no room in this process looks again. */
  freed(): void;
  /** Writes down where cursors are that have found nothing for a while. */
  writePositions(): Promise<void>;
  stop(): Promise<void>;
}

const workspacesPerRound = 64;
const movesPerStatement = 256;
const subjectsAtOnce = 4;
const busyWaitMs = 25;
const roomWaitMs = 1_000;
/** What comes free in this time is looked at together. */
const freedAfterMs = 5;

export function createMover(deps: MoverDeps): Mover {
  const { store, directory, schedule, onError } = deps;
  const ends = new Map<string, number>();
  const floors = new Map<string, number>();
  const dirty = new Set<string>();
  const stale = new Set<string>();
  const crowded = new Set<string>();
  const timers = new Set<NodeJS.Timeout>();
  const standing = createStanding();
  const planner = createPlanner({ ...deps, standing });
  const subjects = createSubjectQueue(moveBySubject, subjectsAtOnce);
  let freeing: NodeJS.Timeout | undefined;
  let isStopped = false;
  let pumping: Promise<void> | undefined;

  function mark(workspaceId: string, isStale = false): void {
    if (isStopped) return;
    dirty.add(workspaceId);
    if (isStale) stale.add(workspaceId);
    pumping ??= pump().finally(() => {
      pumping = undefined;
      // Marked while the last round came to its end.
      if (dirty.size > 0 && !isStopped) mark([...dirty][0] as string);
    });
  }

  async function pump(): Promise<void> {
    while (dirty.size > 0 && !isStopped) {
      const batch = [...dirty].slice(0, workspacesPerRound);
      for (const id of batch) dirty.delete(id);
      await round(batch).catch((error: unknown) => {
        onError(error);
        for (const id of batch) markLater(id, 1_000);
      });
    }
  }

  function markLater(workspaceId: string, afterMs: number): void {
    if (isStopped) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      mark(workspaceId);
    }, afterMs);
    timers.add(timer);
  }

  async function round(batch: readonly string[]): Promise<void> {
    await catchUp(batch.filter((id) => stale.delete(id)));
    const found = await planner.plan(
      batch.map((workspaceId) => ({
        workspaceId,
        end: ends.get(workspaceId) ?? 0,
        floor: floors.get(workspaceId) ?? 0,
      })),
    );
    for (const id of found.unfinished) dirty.add(id);
    for (const id of found.crowded) crowded.add(id);
    for (const id of found.failed) markLater(id, 1_000);
    for (const cursor of found.expired) {
      await deps.onExpired(cursor);
      dirty.add(cursor.target.workspaceId);
      // Somebody else may have taken it further.
      stale.add(cursor.target.workspaceId);
    }
    const { plans } = found;
    // One transaction each, which the others are not to wait for.
    for (const plan of plans.filter(isBySubject)) {
      standing.stand(plan.cursor.id, 'closed', Number.POSITIVE_INFINITY);
      subjects.add(plan);
    }
    await moveAll(plans.filter((plan) => !isBySubject(plan)));
  }

  async function moveAll(plans: readonly Plan[]): Promise<void> {
    for (let from = 0; from < plans.length; from += movesPerStatement) {
      await move(plans.slice(from, from + movesPerStatement));
    }
  }

  /** Where other processes have moved the cursors of workspaces to. */
  async function catchUp(workspaceIds: readonly string[]): Promise<void> {
    const behind = workspaceIds
      .flatMap((id) => [...directory.cursorsOf(id)])
      .filter(
        (cursor) => cursor.scanned < goalOf(cursor, ends.get(cursor.target.workspaceId) ?? 0),
      );
    if (behind.length === 0) return;
    const positions = await store.positions(behind.map(({ id }) => id));
    for (const cursor of behind) {
      const position = positions.get(cursor.id);
      if (position === undefined || position <= cursor.position) continue;
      cursor.position = position;
      cursor.scanned = Math.max(cursor.scanned, position);
    }
  }

  async function move(plans: readonly Plan[]): Promise<void> {
    if (plans.length === 0) return;
    const leasedUntilMs = performance.now() + schedule.leaseMs;
    const moved = await store.move(plans.map(({ move }) => move));
    const byCursor = new Map(moved.map((one) => [one.cursorId, one]));
    for (const plan of plans) follow(plan, byCursor.get(plan.cursor.id), leasedUntilMs);
    const gone = plans.filter(({ cursor }) => byCursor.get(cursor.id)?.outcome === 'gone');
    if (gone.length > 0) await directory.refresh(gone.map(({ cursor }) => cursor.target.id));
  }

  async function moveBySubject(plan: Plan): Promise<void> {
    const { id, target } = plan.cursor;
    const leasedUntilMs = performance.now() + schedule.leaseMs;
    try {
      const moved = await store.moveBySubject(plan.move);
      standing.release(id);
      follow(plan, moved, leasedUntilMs);
      if (moved.outcome === 'gone') await directory.refresh([target.id]);
    } catch (error) {
      standing.stand(id, 'closed', roomWaitMs);
      onError(error);
    }
    mark(target.workspaceId);
  }

  /** What a move has come to decides when the cursor has its next turn. */
  function follow(plan: Plan, moved: Moved | undefined, leasedUntilMs: number): void {
    const { cursor } = plan;
    const { workspaceId } = cursor.target;
    if (moved === undefined || moved.outcome === 'gone') return;
    const { outcome, waitMs } = moved;
    if (outcome === 'moved' || outcome === 'elsewhere') {
      cursor.position = moved.position;
      cursor.scanned = moved.position;
    }
    if (outcome === 'moved') send(plan, moved, leasedUntilMs);
    if (outcome === 'closed') stand(cursor, 'closed', waitMs);
    else if (outcome === 'busy') stand(cursor, 'room', busyWaitMs);
    else if (outcome === 'waits') stand(cursor, 'room', roomWaitMs);
    else if (moved.isLimited) stand(cursor, 'room', waitMs || roomWaitMs);
    else {
      standing.release(cursor.id);
      if (cursor.scanned < goalOf(cursor, ends.get(workspaceId) ?? 0)) dirty.add(workspaceId);
    }
  }

  function send(plan: Plan, moved: Moved, leasedUntilMs: number): void {
    const sendings = toSendings(plan, moved);
    deps.sender.sendWindow(moved, sendings, leasedUntilMs);
  }

  function stand(cursor: Cursor, why: StandingFor, waitMs: number | undefined): void {
    const knownMs = waitMs === undefined || waitMs <= 0 ? undefined : waitMs;
    const stoodMs = standing.stand(cursor.id, why, knownMs);
    // Longer ones are found by the look of each second.
    if (stoodMs < 1_000) markLater(cursor.target.workspaceId, stoodMs + 1);
  }

  return {
    reaches(workspaceId, lastSequence, firstSequence) {
      ends.set(workspaceId, Math.max(lastSequence, ends.get(workspaceId) ?? 0));
      if (firstSequence !== undefined) floors.set(workspaceId, firstSequence);
    },

    knownLast(workspaceId) {
      let last = ends.get(workspaceId) ?? 0;
      for (const { position } of directory.cursorsOf(workspaceId)) last = Math.max(last, position);
      return last;
    },

    setBack: (workspaceId, lastSequence) => void ends.set(workspaceId, lastSequence),

    mark,

    markAll() {
      for (const id of directory.workspaceIds()) {
        const end = ends.get(id) ?? 0;
        const isBehind = [...directory.cursorsOf(id)].some(
          (cursor) => cursor.scanned < goalOf(cursor, end) && !standing.isStanding(cursor.id),
        );
        if (isBehind) mark(id, true);
      }
    },

    release(endpointId, why) {
      for (const cursor of directory.cursorsTo(endpointId)) {
        if (standing.release(cursor.id, why)) mark(cursor.target.workspaceId);
      }
    },

    isShort: (endpointId) =>
      [...directory.cursorsTo(endpointId)].some(({ id }) => standing.isStanding(id, 'room')),

    freed() {
      if (crowded.size === 0 || isStopped) return;
      freeing ??= setTimeout(() => {
        freeing = undefined;
        const waiting = [...crowded];
        crowded.clear();
        for (const id of waiting) mark(id);
      }, freedAfterMs);
    },

    writePositions: () => moveAll(planner.planPositions()),

    async stop() {
      isStopped = true;
      clearTimeout(freeing);
      for (const timer of timers) clearTimeout(timer);
      await pumping;
      await subjects.drained();
    },
  };
}

function isBySubject({ cursor, move }: Plan): boolean {
  return cursor.target.ordering === 'subject' && move.matches.length > 0;
}
