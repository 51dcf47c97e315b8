import type { CommitListener, Event } from '../../events/index.ts';
import type { Observer } from '../../observer.ts';
import type { Courier } from './courier.ts';
import { createCursorLags, type Lags } from './cursor-lags.ts';
import type { Delivery, Result } from './delivery.ts';
import type { DeliveryLog } from './delivery-log.ts';
import type { DeliveryStore } from './delivery-store.ts';
import type { Directory } from './directory.ts';
import { createLogParts } from './log-parts.ts';
import { createLookout, type SetBackLog } from './lookout.ts';
import { createMover } from './mover.ts';
import { createOccupancy, type OccupancyLimits } from './occupancy.ts';
import { createPace, type Pace } from './pace.ts';
import type { Recorded } from './record-store.ts';
import { createRecorder } from './recorder.ts';
import type { DeliverySchedule } from './schedule.ts';
import { createSender } from './sender.ts';
import type { Cursor } from './target.ts';
import { createTeller } from './teller.ts';
import type { TellingStore } from './telling-store.ts';
import { createWorkClaimer } from './work-claimer.ts';

export interface EngineDeps {
  readonly store: DeliveryStore;
  readonly directory: Directory;
  readonly log: DeliveryLog;
  readonly courier: Courier;
  readonly telling: TellingStore;
  /** A log ends earlier than it did; its cursors go on at its end. */
  readonly onSetBack: (log: SetBackLog) => void;
  /** Takes a cursor past what retention has taken from before it, and says where it is then. */
  readonly skipLost: (cursor: Cursor) => Promise<number | undefined>;
  readonly schedule: DeliverySchedule;
  readonly newUuid: () => string;
  /** An event of the service's own was appended. */
  readonly onTold: (event: Event) => void;
  readonly report: (work: string) => (error: unknown) => void;
  readonly observer: Pick<Observer, 'webhookSent'>;
  /** Unless given, what a process bears. */
  readonly limits?: OccupancyLimits;
  /** Unless given, what endpoints show. */
  readonly pace?: Pace;
}

/** Sends the events of logs to endpoints. */
export interface DeliveryEngine {
  /** A log has grown; cheap where nobody follows it. */
  readonly wake: CommitListener;
  /** Endpoints, their secrets or replays were changed: their processes know at once, the others within a second. */
  touched(endpointIds: readonly string[]): Promise<void>;
  /** One round, once a second: what was missed, what is due, what others have left. */
  look(signal: AbortSignal): Promise<void>;
  /** Leases on what is being sent. */
  renew(): Promise<void>;
  /** Begins nothing more, waits for what is being sent, and leaves the rest to others at once. */
  stop(graceMs: number): Promise<void>;
  /** Requests that are on their way, and the bytes of their bodies, for those who watch. */
  readonly load: { readonly requests: number; readonly bytes: number };
  /** Of the database, as this process knows them. */
  readonly endpoints: Directory['counts'];
  /** How far its cursors are behind, from the first time that somebody asks. */
  lags(): Lags;
}

export function createDeliveryEngine(deps: EngineDeps): DeliveryEngine {
  const { store, directory, log, courier, schedule, report } = deps;
  const occupancy = createOccupancy(courier.sizeOf, deps.limits);
  const recorder = createRecorder(store, { onRecorded, onError: report('record deliveries') });
  const { pace = createPace() } = deps;
  const sender = createSender({
    directory,
    courier,
    recorder,
    log,
    occupancy,
    pace,
    schedule,
    onHalfSent,
    onSettled,
    onError: report('deliver webhooks'),
    observer: deps.observer,
  });
  const parts = createLogParts(log);
  const teller = createTeller({
    store: deps.telling,
    schedule,
    onTold: deps.onTold,
    onDisabled: (endpointId) => directory.refresh([endpointId]),
    onError: report('tell of webhook endpoints'),
  });
  const mover = createMover({
    ...deps,
    parts,
    sender,
    occupancy,
    pace,
    onExpired: skipLost,
    onError: report('move webhook cursors'),
  });
  const claimer = createWorkClaimer({
    ...deps,
    sender,
    recorder,
    occupancy,
    onError: report('claim deliveries'),
  });
  const lags = createCursorLags(directory);
  const lookout = createLookout({
    store,
    directory,
    mover,
    claimer,
    lags,
    onSetBack(log) {
      parts.forget();
      deps.onSetBack(log);
    },
  });
  let onIdle: (() => void) | undefined;

  async function skipLost(cursor: Cursor): Promise<void> {
    const position = await deps.skipLost(cursor);
    if (position === undefined) return;
    cursor.position = position;
    cursor.scanned = position;
  }

  function onRecorded({ endpoints, released }: Recorded): void {
    for (const health of endpoints) {
      if (health.failures === 0) mover.release(health.endpointId);
      teller.consider(health);
    }
    claimer.mark(released);
  }

  function onHalfSent(endpointId: string): void {
    if (mover.isShort(endpointId)) recorder.hurry();
  }

  function onSettled({ endpointId }: Delivery, result: Result | undefined, isRecorded: boolean) {
    if (isRecorded && result?.status === 410) teller.gone(endpointId);
    claimer.ended(endpointId);
    mover.freed();
    if (hasRoomAgain(endpointId)) mover.release(endpointId, 'room');
    if (occupancy.requests === 0) onIdle?.();
  }

  /** Half of it at least, so that what comes next comes in one window and not in many. */
  function hasRoomAgain(endpointId: string): boolean {
    const target = directory.targetOf(endpointId);
    if (target === undefined) return false;
    const requests = sender.requestsTo(endpointId);
    return target.ordering === 'none' ? requests * 2 <= target.maxInFlight : requests === 0;
  }

  async function whenIdle(graceMs: number): Promise<void> {
    if (occupancy.requests === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, graceMs);
    onIdle = resolve;
    await promise;
    clearTimeout(timer);
  }

  return {
    get load() {
      return { requests: occupancy.requests, bytes: occupancy.bytes };
    },

    endpoints: directory.counts,
    lags: lags.read,

    wake(workspaceId, lastSequence, origin, events = []) {
      if (directory.cursorsOf(workspaceId).size === 0) return;
      // Those of others come later than they were committed, and often after ours.
      if (origin === 'here') parts.committed(workspaceId, events);
      lookout.wake(workspaceId, lastSequence, origin);
    },

    touched: (endpointIds) => lookout.refresh(endpointIds),

    async look(signal) {
      parts.sweep();
      await lookout.look(signal);
    },

    async renew() {
      const windowIds = sender.windowIds();
      if (windowIds.length === 0) return;
      const leasedUntilMs = performance.now() + schedule.leaseMs;
      const kept = await store.renew(windowIds);
      sender.renewed(windowIds, kept, leasedUntilMs);
    },

    async stop(graceMs) {
      lookout.stop();
      sender.stop();
      await Promise.all([mover.stop(), claimer.stop()]);
      await whenIdle(graceMs);
      recorder.stop();
      await recorder.drained();
      const [windowIds, work] = [sender.windowIds(), sender.work()];
      const failed = report('leave deliveries to others');
      if (windowIds.length > 0) await store.release(windowIds).catch(failed);
      if (work.length > 0) await store.releaseWork(work).catch(failed);
      await teller.drained();
    },
  };
}
