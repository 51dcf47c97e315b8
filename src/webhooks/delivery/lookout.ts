import type { CommitOrigin } from '../../events/index.ts';
import type { CursorLags } from './cursor-lags.ts';
import type { DeliveryStore } from './delivery-store.ts';
import type { Directory } from './directory.ts';
import type { Mover } from './mover.ts';
import type { WorkClaimer } from './work-claimer.ts';
import type { Look } from './work-store.ts';

/** Learns what there is to do: by wake-ups, some of which are lost, and by a look of its own each second. */
export interface Lookout {
  wake(workspaceId: string, lastSequence: number, origin: CommitOrigin): void;
  /** Reads endpoints again that were changed. */
  refresh(endpointIds: readonly string[]): Promise<void>;
  look(signal: AbortSignal): Promise<void>;
  stop(): void;
}

export interface LookoutDeps {
  readonly store: Pick<DeliveryStore, 'look' | 'takeUp' | 'putBack'>;
  readonly directory: Directory;
  readonly mover: Mover;
  readonly claimer: WorkClaimer;
  readonly lags: Pick<CursorLags, 'look'>;
  readonly onSetBack: (log: SetBackLog) => void;
}

/** A log that is shorter than it was known to be: the database was restored to an earlier point. */
export interface SetBackLog {
  readonly workspaceId: string;
  readonly knownLast: number;
  readonly lastSequence: number;
}

/** The process that has committed goes first: it has nothing to ask for. */
const elsewhereMs = 50;
const dueMax = 200;
const takeUpMax = 20;
/** Changes are found by their time, and a transaction may commit some time after it took that. */
const overlapMs = 15_000;
const positionsEveryLooks = 5;
/** Before the first look there is nothing to compare with. */
const never = new Date(Date.UTC(9_999, 0));

export function createLookout(deps: LookoutDeps): Lookout {
  const { store, directory, mover, claimer, lags, onSetBack } = deps;
  const later = new Map<string, NodeJS.Timeout>();
  let isLoaded = false;
  let isStopped = false;
  let touchedSince = never;
  /** What was read again already. */
  let seen: ReadonlyMap<string, number> = new Map();
  let looks = 0;

  async function refresh(endpointIds: readonly string[]): Promise<void> {
    if (endpointIds.length === 0) return;
    await directory.refresh(endpointIds);
    for (const id of endpointIds) {
      claimer.changed(id);
      mover.release(id);
      const target = directory.targetOf(id);
      if (target !== undefined) mover.mark(target.workspaceId, true);
    }
  }

  async function refreshTouched({ now, touched }: Look): Promise<void> {
    const unseen = touched.filter(
      ({ endpointId, touchedAtMicros }) => seen.get(endpointId) !== touchedAtMicros,
    );
    await refresh(unseen.map(({ endpointId }) => endpointId));
    seen = new Map(touched.map((one) => [one.endpointId, one.touchedAtMicros]));
    touchedSince = new Date(now.getTime() - overlapMs);
  }

  /** What was known before the look began is committed: less than that is another log. */
  async function noticeSetBack(known: ReadonlyMap<string, number>, { logs }: Look): Promise<void> {
    const back: SetBackLog[] = [];
    for (const [workspaceId, { lastSequence }] of logs) {
      const knownLast = known.get(workspaceId) ?? 0;
      if (lastSequence < knownLast) back.push({ workspaceId, knownLast, lastSequence });
    }
    if (back.length === 0) return;
    await store.putBack(back.map(({ workspaceId }) => workspaceId));
    for (const log of back) {
      onSetBack(log);
      mover.setBack(log.workspaceId, log.lastSequence);
      const cursors = [...directory.cursorsOf(log.workspaceId)];
      await refresh([...new Set(cursors.map(({ target }) => target.id))]);
    }
  }

  return {
    refresh,

    wake(workspaceId, lastSequence, origin) {
      if (isStopped) return;
      mover.reaches(workspaceId, lastSequence);
      if (origin === 'here') mover.mark(workspaceId);
      else if (!later.has(workspaceId)) {
        const timer = setTimeout(() => {
          later.delete(workspaceId);
          mover.mark(workspaceId, true);
        }, elsewhereMs);
        later.set(workspaceId, timer);
      }
    },

    async look(signal) {
      const query = {
        workspaceIds: directory.workspaceIds(),
        dueMax,
        touchedSince,
        except: claimer.keyless(),
      };
      const known = new Map(query.workspaceIds.map((id) => [id, mover.knownLast(id)]));
      const looked = await store.look(query);
      await noticeSetBack(known, looked);
      if (!isLoaded) {
        await directory.load(signal);
        isLoaded = !signal.aborted;
      }
      await refreshTouched(looked);
      for (const [id, { lastSequence, firstSequence }] of looked.logs) {
        mover.reaches(id, lastSequence, firstSequence);
      }
      lags.look(looked.logs);
      mover.markAll();
      if (looked.hasExpired) claimer.mark(await store.takeUp(takeUpMax));
      claimer.mark(looked.due);
      looks++;
      if (looks % positionsEveryLooks === 0) await mover.writePositions();
    },

    stop() {
      isStopped = true;
      for (const timer of later.values()) clearTimeout(timer);
    },
  };
}
