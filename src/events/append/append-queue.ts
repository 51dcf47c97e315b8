import { DatabaseUnavailable } from '../../database-unavailable.ts';
import { createLoopTurns, type LoopTurns } from '../../loop-turns.ts';
import { type CreateOutcome, type Observer, unobserved } from '../../observer.ts';
import type { Appended, PreparedEvent } from '../event.ts';
import { AppendAbandoned } from '../event-errors.ts';
import type { EventStore } from '../event-store.ts';
import { toParts } from './append-batch.ts';
import { createAppendLanes, type Entry } from './append-lanes.ts';
import { createAppendWriter, type OnCommitted } from './append-writer.ts';
import { failureOf } from './create-outcome.ts';

/** Statements in flight, each with a connection, never two for one workspace. */
const flightsMax = 4;
/** Beside them, for workspaces that were found locked: one each. */
const detoursMax = 2;
/** Longer than a healthy process holds a counter; a quarter of it, over all of those that are locked. */
const lockMsMax = 250;
const detourLockMsMin = 25;

/** How long a create waits for its turn, and then for PostgreSQL: 15 s together. */
export interface AppendPatience {
  readonly turnMsMax: number;
  readonly answerMsMax: number;
}

const usualPatience: AppendPatience = { turnMsMax: 5_000, answerMsMax: 10_000 };

/** What the queue holds at a moment. */
export interface AppendLoad {
  /** Creates that wait for their turn, and their content. */
  readonly waiting: number;
  readonly waitingBytes: number;
  /** Batches that are being written. */
  readonly flights: number;
  /** Workspaces that were found locked, and have creates that wait for it. */
  readonly lockedWorkspaces: number;
}

/** Who is told what becomes of creates. */
export type AppendObserver = Pick<Observer, 'createEnded' | 'batchTaken' | 'batchWritten'>;

export interface AppendQueueOptions {
  readonly onCommitted?: OnCommitted;
  readonly patience?: AppendPatience;
  /** In which creates are answered. */
  readonly turns?: LoopTurns;
  readonly observer?: AppendObserver;
  /** Of the content of creates that wait; more are refused. */
  readonly waitingBytesMax?: number | undefined;
}

/**
 * Gathers creates into batches, without a timer: while a workspace's batch is being written, its next
 * one fills. Workspaces that are not being written go together into one batch. One that is stuck
 * behind a lock delays no other: the first to meet it lose a quarter of a second, and until it has been
 * written it is tried alone, by flights of its own kind. One that floods takes no room from the others.
 */
export interface AppendQueue {
  /**
   * Appends an event and answers once it is on disk.
   *
   * @throws IdempotencyKeyReused, EventWorkspaceMissing, AppendQueueFull (at once), AppendAbandoned when
   * `signal` aborts first; within 15 s DatabaseUnavailable, AppendContended
   */
  append(event: PreparedEvent, signal?: Abandonment): Promise<Appended>;
  readonly load: AppendLoad;
  /** Resolves when everything that was waiting has been answered. */
  drained(): Promise<void>;
}

/** What of an AbortSignal the queue uses: a batch gives all its creates one that costs each of them less. */
export type Abandonment = Pick<AbortSignal, 'aborted'> & {
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
};

/**
 * One listener on a signal for many: an AbortSignal goes through all its listeners for each that comes or
 * goes, which for the 500 creates of a batch is more work than writing them down.
 */
export function shareSignal(signal: AbortSignal): Abandonment {
  const listeners = new Set<() => void>();
  signal.addEventListener('abort', () => {
    for (const listener of listeners) listener();
  });
  return {
    get aborted() {
      return signal.aborted;
    },
    addEventListener: (_type, listener) => listeners.add(listener),
    removeEventListener: (_type, listener) => listeners.delete(listener),
  };
}

export function createAppendQueue(
  store: EventStore,
  {
    onCommitted = () => undefined,
    patience = usualPatience,
    turns = createLoopTurns(),
    observer = unobserved,
    waitingBytesMax,
  }: AppendQueueOptions = {},
): AppendQueue {
  const lanes = createAppendLanes(waitingBytesMax);
  const writer = createAppendWriter({ store, onCommitted, turns, observer });
  const idle: (() => void)[] = [];
  /** Creates that have not been answered. */
  let open = 0;
  let flights = 0;
  let detours = 0;
  let turn = 0;
  let pumpScheduled = false;
  let lateTimer: NodeJS.Timeout | undefined;

  function schedulePump(): void {
    if (pumpScheduled) return;
    pumpScheduled = true;
    // After the input of this turn of the event loop: calls that arrived together go together.
    setImmediate(() => {
      pumpScheduled = false;
      pump();
    });
  }

  function pump(): void {
    while (flights < flightsMax) {
      const batch = lanes.takeBatch();
      if (batch.length === 0) break;
      flights++;
      void fly(batch, false)
        .then(() => flights--)
        .then(pump);
    }
    while (detours < detoursMax) {
      const batch = lanes.takeDetour();
      if (batch.length === 0) break;
      detours++;
      void fly(batch, true)
        .then(() => detours--)
        .then(pump);
    }
    if (flights + detours + open === 0) {
      for (const resolve of idle.splice(0)) resolve();
    }
    if (lanes.rows > 0 && lateTimer === undefined) {
      lateTimer = setTimeout(refuseLate, patience.turnMsMax / 8);
    }
  }

  function fly(batch: Entry[], isDetour: boolean): Promise<void> {
    const takenAtMs = performance.now();
    observer.batchTaken(batch, takenAtMs);
    return writer.write(toParts(batch), {
      lockMsMax: isDetour ? detourLockMs() : lockMsMax,
      endsAtMs: takenAtMs + patience.answerMsMax,
      isDetour,
      onLeft(workspaceId, how) {
        lanes.land(workspaceId, how);
        schedulePump();
      },
    });
  }

  /** However many are locked, each has its turn within a quarter of a second, down to 25 ms a turn. */
  function detourLockMs(): number {
    const shared = Math.floor((lockMsMax * detoursMax) / lanes.lockedCount);
    return Math.min(lockMsMax, Math.max(detourLockMsMin, shared));
  }

  function isLate({ askedAtMs }: Entry): boolean {
    return performance.now() - askedAtMs >= patience.turnMsMax;
  }

  function refuseLate(): void {
    lateTimer = undefined;
    for (const entry of lanes.waitingSince(performance.now() - patience.turnMsMax)) {
      entry.reject(
        entry.contended ??
          new DatabaseUnavailable('PostgreSQL is too slow for what is waiting', { sent: false }),
      );
    }
    pump();
  }

  return {
    get load() {
      return {
        waiting: lanes.rows,
        waitingBytes: lanes.bytes,
        flights: flights + detours,
        lockedWorkspaces: lanes.lockedCount,
      };
    },

    append(event, signal) {
      if (signal?.aborted) {
        observer.createEnded('abandoned');
        return Promise.reject(new AppendAbandoned({ sent: false }));
      }
      return new Promise((resolve, reject) => {
        let mayBeStored = false;
        const settle = (outcome: CreateOutcome, answer: () => void) => {
          if (entry.state === 'answered') return;
          if (entry.state === 'waiting') lanes.leave(entry);
          entry.state = 'answered';
          signal?.removeEventListener('abort', abandon);
          answer();
          observer.createEnded(outcome);
          if (--open === 0 && idle.length > 0) schedulePump();
        };
        const entry: Entry = {
          event,
          turn: turn++,
          askedAtMs: performance.now(),
          state: 'waiting',
          contended: undefined,
          resolve: (appended) =>
            settle(appended.replayed ? 'replayed' : 'created', () => resolve(appended)),
          reject: (reason) => settle(failureOf(reason), () => reject(reason)),
          noteLost() {
            mayBeStored = true;
          },
          putBack(contended) {
            if (entry.state === 'answered') return;
            if (isLate(entry)) return entry.reject(contended);
            entry.contended = contended;
            lanes.reenter(entry);
          },
        };
        const abandon = () => {
          const sent = mayBeStored || entry.state === 'sent';
          entry.reject(new AppendAbandoned({ sent }));
        };
        open++;
        try {
          lanes.enter(entry);
        } catch (full) {
          return entry.reject(full);
        }
        signal?.addEventListener('abort', abandon);
        schedulePump();
      });
    },

    drained() {
      return new Promise((resolve) => {
        idle.push(resolve);
        schedulePump();
      });
    },
  };
}
