import { toBatchRows, type Waiting } from './append-batch.ts';
import { type OnCommitted, writeBatch } from './append-writer.ts';
import type { Appended, PreparedEvent } from './event.ts';
import { AppendAbandoned, AppendQueueFull } from './event-errors.ts';
import type { EventStore } from './event-store.ts';

/** What one statement writes at the most. */
const batchRowsMax = 500;
const batchBytesMax = 4 * 1024 * 1024;
/** What may wait: a third of a second of writing at 25,000 rows a second. */
const waitingRowsMax = 8_000;
const waitingBytesMax = 64 * 1024 * 1024;
/** Statements in flight, each with a connection, never two for one workspace. */
const flightsMax = 4;

/**
 * Gathers creates into batches, without a timer: while a workspace's batch is being written, its next
 * one fills. Workspaces that are not being written go together into one batch; one that is stuck
 * behind a lock delays no other.
 */
export interface AppendQueue {
  /**
   * Appends an event and answers once it is on disk.
   *
   * @throws IdempotencyKeyReused, EventWorkspaceMissing, AppendQueueFull (at once), AppendAbandoned when
   * `signal` aborts first, DatabaseUnavailable
   */
  append(event: PreparedEvent, signal?: Abandonment): Promise<Appended>;
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

interface Entry extends Waiting {
  state: 'waiting' | 'sent' | 'answered';
}

export function createAppendQueue(
  store: EventStore,
  onCommitted: OnCommitted = () => undefined,
): AppendQueue {
  /** Entries per workspace, the longest unserved workspace first. */
  const lanes = new Map<string, Set<Entry>>();
  const workspacesInFlight = new Set<string>();
  const idle: (() => void)[] = [];
  let flights = 0;
  let turn = 0;
  let waitingRows = 0;
  let waitingBytes = 0;
  let pumpScheduled = false;

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
      const batch = takeBatch();
      if (batch.length === 0) break;
      void fly(batch);
    }
    if (flights === 0 && lanes.size === 0) {
      for (const resolve of idle.splice(0)) resolve();
    }
  }

  async function fly(batch: Entry[]): Promise<void> {
    const workspaces = new Set(batch.map((entry) => entry.event.workspaceId));
    for (const id of workspaces) workspacesInFlight.add(id);
    flights++;
    await writeBatch(store, toBatchRows(batch), onCommitted);
    flights--;
    for (const id of workspaces) workspacesInFlight.delete(id);
    pump();
  }

  /** Takes the next batch: whole lanes, as far as it has room, of workspaces that are not in flight. */
  function takeBatch(): Entry[] {
    const batch: Entry[] = [];
    let bytes = 0;
    for (const [workspaceId, lane] of lanes) {
      if (workspacesInFlight.has(workspaceId)) continue;
      for (const entry of lane) {
        const { payloadBytes } = entry.event;
        const full = batch.length >= batchRowsMax || bytes + payloadBytes > batchBytesMax;
        if (full && batch.length > 0) {
          // What is left of this lane goes behind the others.
          lanes.delete(workspaceId);
          lanes.set(workspaceId, lane);
          return batch;
        }
        leaveLane(entry);
        entry.state = 'sent';
        batch.push(entry);
        bytes += payloadBytes;
      }
    }
    return batch;
  }

  function enterLane(entry: Entry): void {
    const { workspaceId, payloadBytes } = entry.event;
    const lane = lanes.get(workspaceId);
    if (lane === undefined) lanes.set(workspaceId, new Set([entry]));
    else lane.add(entry);
    waitingRows++;
    waitingBytes += payloadBytes;
  }

  function leaveLane(entry: Entry): void {
    const { workspaceId, payloadBytes } = entry.event;
    const lane = lanes.get(workspaceId);
    lane?.delete(entry);
    if (lane?.size === 0) lanes.delete(workspaceId);
    waitingRows--;
    waitingBytes -= payloadBytes;
  }

  return {
    append(event, signal) {
      const full =
        waitingRows >= waitingRowsMax || waitingBytes + event.payloadBytes > waitingBytesMax;
      if (full) return Promise.reject(new AppendQueueFull());
      if (signal?.aborted) return Promise.reject(new AppendAbandoned({ sent: false }));
      return new Promise((resolve, reject) => {
        const settle = (answer: () => void) => {
          if (entry.state === 'answered') return;
          if (entry.state === 'waiting') leaveLane(entry);
          entry.state = 'answered';
          signal?.removeEventListener('abort', abandon);
          answer();
        };
        const entry: Entry = {
          event,
          turn: turn++,
          state: 'waiting',
          resolve: (appended) => settle(() => resolve(appended)),
          reject: (reason) => settle(() => reject(reason)),
        };
        const abandon = () => entry.reject(new AppendAbandoned({ sent: entry.state === 'sent' }));
        signal?.addEventListener('abort', abandon);
        enterLane(entry);
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
