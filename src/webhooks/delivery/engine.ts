import { setTimeout as delay } from 'node:timers/promises';
import type { Event } from '../../events/index.ts';
import { idOf, uuidOf } from '../../type-id.ts';
import type { Courier } from './courier.ts';
import type {
  Delivery,
  DeliveryStore,
  EndpointHealth,
  Look,
  Moved,
  TakenUp,
} from './delivery-store.ts';
import type { Directory } from './directory.ts';
import { createRecorder } from './recorder.ts';
import { findMatches, goalOf, type Scanned } from './scan.ts';
import type { DeliverySchedule } from './schedule.ts';
import type { Cursor } from './target.ts';

/** What the engine reads of the log. */
export interface DeliveryLog {
  /** Consecutive events after a sequence, up to another; fewer than there are where they are many. */
  readAfter(workspaceId: string, afterSequence: number, upTo: number): Promise<Scanned>;
  /** Events by id, of those that are kept. */
  readByIds(ids: readonly string[]): Promise<ReadonlyMap<string, Event>>;
}

export interface EngineDeps {
  readonly store: DeliveryStore;
  readonly directory: Directory;
  readonly log: DeliveryLog;
  readonly courier: Courier;
  readonly schedule: DeliverySchedule;
  readonly newUuid: () => string;
  /** Of every endpoint whose requests were recorded. */
  readonly onEndpoints: (endpoints: readonly EndpointHealth[]) => void;
  /** An endpoint has answered 410. */
  readonly onGone: (endpointId: string, workspaceId: string) => void;
  readonly report: (work: string) => (error: unknown) => void;
}

/** Sends the events of logs to endpoints. */
export interface DeliveryEngine {
  /** A log has grown; cheap where nobody follows it. */
  wake(workspaceId: string, lastSequence: number, origin: 'here' | 'elsewhere'): void;
  /** One round, once a second: what was missed, what is due, what others have left. */
  look(signal: AbortSignal): Promise<void>;
  /** Leases on what is being sent. */
  renew(): Promise<void>;
  /** Begins nothing more, waits for what is being sent, and leaves the rest to others at once. */
  stop(graceMs: number): Promise<void>;
  /** Requests that are on their way, for those who watch. */
  readonly inFlight: number;
}

/** Requests on their way at once, over all endpoints; and what their bodies may hold. */
const inFlightMax = 4_096;
const bytesMax = 64 * 1024 * 1024;
/** Cursors a statement, and workspaces a round. */
const movesMax = 256;
const workspacesMax = 64;
/** Places in one log from which cursors are moved in one round; those that are level share what is read. */
const startsMax = 4;
/** A position without a match is written down when it is so far behind. */
const unwrittenMax = 1_000;
/** The process that has committed goes first: it has nothing to ask for. */
const elsewhereMs = 50;
const dueMax = 200;
const workPerEndpointMax = 100;
const takeUpMax = 50;
/** How long a cursor is left alone whose endpoint had no room, or was closed; doubled each time. */
const standMs = { first: 1_000, most: 30_000 };

interface Held {
  readonly fence: number;
  /** Requests of it that have not ended. */
  left: number;
  leasedUntilMs: number;
}

export function createDeliveryEngine(deps: EngineDeps): DeliveryEngine {
  const { store, directory, log, courier, schedule } = deps;
  /** How far logs are known to be committed. */
  const ends = new Map<string, number>();
  const dirty = new Set<string>();
  const held = new Map<string, Held>();
  const standing = new Map<string, { untilMs: number; waitMs: number }>();
  const later = new Map<string, NodeJS.Timeout>();
  let inFlight = 0;
  let bytes = 0;
  let isStopped = false;
  let pumping: Promise<void> | undefined;
  let onRoom: (() => void) | undefined;
  let changedSince = new Date(0);
  let isLoaded = false;
  const recorder = createRecorder(store, {
    onRecorded({ endpoints }) {
      for (const { endpointId, failures } of endpoints) if (failures === 0) release(endpointId);
      deps.onEndpoints(endpoints);
    },
    onError: deps.report('record deliveries'),
  });

  function release(endpointId: string): void {
    const target = directory.targetOf(endpointId);
    if (target === undefined) return;
    for (const cursor of directory.cursorsOf(target.workspaceId)) {
      if (cursor.target.id !== endpointId || !standing.delete(cursor.id)) continue;
      mark(target.workspaceId);
    }
  }

  function mark(workspaceId: string): void {
    dirty.add(workspaceId);
    pumping ??= pump();
  }

  async function pump(): Promise<void> {
    try {
      while (dirty.size > 0 && !isStopped) {
        await room();
        const batch = [...dirty].slice(0, workspacesMax);
        for (const id of batch) dirty.delete(id);
        await moveAll(batch).catch(deps.report('move webhook cursors'));
      }
    } finally {
      pumping = undefined;
    }
  }

  async function room(): Promise<void> {
    while (!isStopped && (inFlight >= inFlightMax || bytes >= bytesMax)) {
      await new Promise<void>((resolve) => {
        onRoom = resolve;
      });
    }
  }

  async function moveAll(workspaceIds: readonly string[]): Promise<void> {
    const chunks = new Map<string, Promise<Scanned>>();
    const found = await Promise.all(workspaceIds.map((id) => findMoves(id, chunks)));
    const plans = found.flat();
    for (let from = 0; from < plans.length; from += movesMax) {
      await move(plans.slice(from, from + movesMax));
    }
  }

  /** What the cursors of a workspace have found, each endpoint once; whatever is left makes it dirty again. */
  async function findMoves(workspaceId: string, chunks: Map<string, Promise<Scanned>>) {
    const end = ends.get(workspaceId) ?? 0;
    const now = performance.now();
    const behind = directory
      .cursorsOf(workspaceId)
      .filter((cursor) => cursor.scanned < goalOf(cursor, end))
      .filter((cursor) => (standing.get(cursor.id)?.untilMs ?? 0) <= now);
    const starts = [...new Set(behind.map(({ scanned }) => scanned))].sort((a, b) => b - a);
    const chosen = new Set(starts.slice(0, startsMax));
    const endpoints = new Set<string>();
    const plans: Plan[] = [];
    for (const cursor of behind) {
      if (!chosen.has(cursor.scanned) || endpoints.has(cursor.target.id)) {
        dirty.add(workspaceId);
        continue;
      }
      const part = await readShared(chunks, workspaceId, cursor.scanned, end);
      const { matches, scanned } = findMatches(cursor, idOf('whe', cursor.target.id), part);
      if (scanned < goalOf(cursor, end)) dirty.add(workspaceId);
      const isWritten = matches.length > 0 || scanned - cursor.position >= unwrittenMax;
      if (!isWritten && scanned !== cursor.endSequence) {
        cursor.scanned = scanned;
        continue;
      }
      endpoints.add(cursor.target.id);
      plans.push({ cursor, matches, scanned, part });
    }
    return plans;
  }

  function readShared(
    chunks: Map<string, Promise<Scanned>>,
    workspaceId: string,
    after: number,
    upTo: number,
  ): Promise<Scanned> {
    const key = `${workspaceId} ${after}`;
    const known = chunks.get(key);
    if (known !== undefined) return known;
    const reading = log.readAfter(workspaceId, after, upTo);
    chunks.set(key, reading);
    return reading;
  }

  async function move(plans: readonly Plan[]): Promise<void> {
    if (plans.length === 0) return;
    const leasedUntilMs = performance.now() + schedule.leaseMs;
    const moved = await store.move(
      plans.map(({ cursor, matches, scanned }) => ({
        cursorId: cursor.id,
        workspaceId: cursor.target.workspaceId,
        endpointId: cursor.target.id,
        expected: cursor.position,
        scanned,
        matches,
        windowId: deps.newUuid(),
      })),
    );
    const byCursor = new Map(moved.map((one) => [one.cursorId, one]));
    const unmoved: Plan[] = [];
    for (const plan of plans) {
      const one = byCursor.get(plan.cursor.id);
      if (one === undefined) unmoved.push(plan);
      else begin(plan, one, leasedUntilMs);
    }
    for (const { cursor } of unmoved) stand(cursor);
    // Somebody else has moved them, or is about to: read where they are now.
    await directory.refresh([...new Set(unmoved.map(({ cursor }) => cursor.target.id))]);
    for (const { cursor } of unmoved) {
      const now = directory.cursor(cursor.id);
      if (now !== undefined && now.position > cursor.position) standing.delete(cursor.id);
    }
  }

  function stand(cursor: Cursor): void {
    const { waitMs = standMs.first / 2 } = standing.get(cursor.id) ?? {};
    const next = Math.min(waitMs * 2, standMs.most);
    standing.set(cursor.id, { untilMs: performance.now() + next, waitMs: next });
  }

  function begin({ cursor, matches, part }: Plan, moved: Moved, leasedUntilMs: number): void {
    cursor.position = moved.position;
    cursor.scanned = moved.position;
    if (moved.isLimited) stand(cursor);
    else standing.delete(cursor.id);
    if (moved.taken === 0) return;
    const events = new Map(part.events.map((event) => [event.sequence, event]));
    const { windowId, previousSequence } = moved;
    const fence = 1;
    held.set(windowId, { fence, left: moved.taken, leasedUntilMs });
    const taken = matches.slice(0, moved.taken);
    for (const [place, sequence] of taken.entries()) {
      const event = events.get(sequence) as Event;
      const previous = place === 0 ? previousSequence : (taken[place - 1] as number);
      void deliver(
        'windows',
        toDelivery({ windowId, place, fence }, cursor, event, previous),
        event,
      );
    }
  }

  function toDelivery(
    { windowId, place, fence }: { windowId: string; place: number; fence: number },
    cursor: { readonly id: string; readonly target: { id: string; workspaceId: string } },
    event: Event,
    previousSequence: number,
  ): Delivery {
    return {
      windowId,
      place,
      fence,
      workspaceId: cursor.target.workspaceId,
      cursorId: cursor.id,
      endpointId: cursor.target.id,
      eventId: uuidOf(event.id),
      subject: event.subject,
      sequence: event.sequence,
      previousSequence,
      attempt: fence,
      tries: 0,
    };
  }

  /** Sends and records; whatever goes wrong here, the lease runs out and somebody sends it again. */
  async function deliver(
    kind: 'windows' | 'work',
    delivery: Delivery,
    event: Event,
  ): Promise<void> {
    const target = directory.targetOf(delivery.endpointId);
    const isReplay = delivery.cursorId !== delivery.endpointId;
    const size = courier.sizeOf(event);
    inFlight++;
    bytes += size;
    try {
      if (target === undefined) return;
      const replayId = isReplay ? idOf('rpl', delivery.cursorId) : undefined;
      const result = await courier.send(delivery, { target, replayId }, event);
      if (result === undefined) return;
      const isRecorded = await recorder.record(kind, result);
      if (isRecorded && result.status === 410)
        deps.onGone(delivery.endpointId, delivery.workspaceId);
    } catch (error) {
      deps.report('deliver webhooks')(error);
    } finally {
      inFlight--;
      bytes -= size;
      settle(kind, delivery);
    }
  }

  function settle(kind: 'windows' | 'work', { windowId, endpointId }: Delivery): void {
    onRoom?.();
    onRoom = undefined;
    if (kind === 'work') return;
    const window = held.get(windowId);
    if (window !== undefined && --window.left === 0) held.delete(windowId);
    const target = directory.targetOf(endpointId);
    if (target === undefined) return;
    release(endpointId);
  }

  async function takeUp(): Promise<void> {
    const leasedUntilMs = performance.now() + schedule.leaseMs;
    const windows = await store.takeUp(takeUpMax);
    await Promise.all(windows.map((window) => resend(window, leasedUntilMs)));
  }

  /** Sends what was not recorded of a window that somebody has left. */
  async function resend(window: TakenUp, leasedUntilMs: number): Promise<void> {
    const { windowId, workspaceId, sequences, fence } = window;
    const done = new Set(window.placesDone);
    const events = await readSequences(workspaceId, sequences);
    const left = [...sequences.entries()].filter(([place]) => !done.has(place));
    held.set(windowId, { fence, left: left.length, leasedUntilMs });
    const cursor = { id: window.cursorId, target: { id: window.endpointId, workspaceId } };
    for (const [place, sequence] of left) {
      const event = events.get(sequence);
      if (event === undefined) continue;
      const previous = place === 0 ? window.previousSequence : (sequences[place - 1] as number);
      void deliver(
        'windows',
        toDelivery({ windowId, place, fence }, cursor, event, previous),
        event,
      );
    }
  }

  async function readSequences(
    workspaceId: string,
    sequences: readonly number[],
  ): Promise<ReadonlyMap<number, Event>> {
    const events = new Map<number, Event>();
    const last = sequences.at(-1) ?? 0;
    for (let after = (sequences[0] ?? 1) - 1; after < last; ) {
      const part = await log.readAfter(workspaceId, after, last);
      for (const event of part.events) events.set(event.sequence, event);
      if (part.end <= after) break;
      after = part.end;
    }
    return events;
  }

  async function claimDue(endpointIds: readonly string[]): Promise<void> {
    const deliveries = await store.claimWork(endpointIds, workPerEndpointMax);
    const ids = new Set(deliveries.map(({ eventId }) => idOf('evt', eventId)));
    const events = await log.readByIds([...ids]);
    for (const delivery of deliveries) {
      const event = events.get(idOf('evt', delivery.eventId));
      if (event !== undefined) void deliver('work', delivery, event);
      else await recorder.record('work', expired(delivery));
    }
  }

  async function refreshChanged({ changed }: Look): Promise<void> {
    const ids = [...new Set(changed.map(({ endpointId }) => endpointId))];
    if (ids.length === 0) return;
    await directory.refresh(ids);
    for (const id of ids) release(id);
    for (const { workspaceId } of changed) mark(workspaceId);
  }

  return {
    get inFlight() {
      return inFlight;
    },

    wake(workspaceId, lastSequence, origin) {
      if (isStopped || directory.cursorsOf(workspaceId).length === 0) return;
      ends.set(workspaceId, Math.max(lastSequence, ends.get(workspaceId) ?? 0));
      if (origin === 'here') {
        mark(workspaceId);
        return;
      }
      if (later.has(workspaceId)) return;
      const timer = setTimeout(() => {
        later.delete(workspaceId);
        mark(workspaceId);
      }, elsewhereMs);
      later.set(workspaceId, timer);
    },

    async look(signal) {
      const since = changedSince;
      const lookedAt = new Date(Date.now() - changeOverlapMs);
      if (!isLoaded) await directory.load(signal);
      isLoaded = true;
      const looked = await store.look(directory.workspaceIds(), dueMax, since);
      changedSince = lookedAt;
      await refreshChanged(since.getTime() === 0 ? { ...looked, changed: [] } : looked);
      for (const [workspaceId, end] of looked.logs) {
        ends.set(workspaceId, end);
        if (
          directory.cursorsOf(workspaceId).some((cursor) => cursor.scanned < goalOf(cursor, end))
        ) {
          mark(workspaceId);
        }
      }
      if (looked.hasExpired) await takeUp();
      if (looked.due.length > 0) await claimDue(looked.due);
    },

    async renew() {
      if (held.size === 0) return;
      const windows = [...held].map(([windowId, { fence }]) => ({ windowId, fence }));
      const leasedUntilMs = performance.now() + schedule.leaseMs;
      const kept = await store.renew(windows);
      for (const { windowId } of windows) {
        const window = held.get(windowId);
        if (window === undefined) continue;
        if (kept.has(windowId)) window.leasedUntilMs = leasedUntilMs;
        else held.delete(windowId);
      }
    },

    async stop(graceMs) {
      isStopped = true;
      onRoom?.();
      for (const timer of later.values()) clearTimeout(timer);
      await pumping;
      const endsAtMs = performance.now() + graceMs;
      while (inFlight > 0 && performance.now() < endsAtMs) await delay(20);
      recorder.stop();
      await recorder.drained();
      await store.release([...held].map(([windowId, { fence }]) => ({ windowId, fence })));
    },
  };
}

/** Changes are found by their time, and a transaction may commit some time after it took that. */
const changeOverlapMs = 15_000;

interface Plan {
  readonly cursor: Cursor;
  readonly matches: readonly number[];
  readonly scanned: number;
  readonly part: Scanned;
}

/** The event of a delivery is no longer kept. */
function expired(delivery: Delivery) {
  return {
    delivery,
    startedAt: new Date(),
    durationMs: 0,
    status: undefined,
    error: 'the event is no longer kept',
    response: undefined,
    outcome: 'failed',
    afterMs: undefined,
    holdMs: undefined,
  } as const;
}
