import type { Event } from '../../events/index.ts';
import type { Observer } from '../../observer.ts';
import { idOf } from '../../type-id.ts';
import { Counts } from './counts.ts';
import type { Courier } from './courier.ts';
import { type Delivery, expired, keyOf, parked, putOff, type Result } from './delivery.ts';
import type { DeliveryLog } from './delivery-log.ts';
import type { Directory } from './directory.ts';
import type { Moved } from './move-store.ts';
import type { Occupancy } from './occupancy.ts';
import type { Pace } from './pace.ts';
import type { ResultKind } from './record-store.ts';
import type { Recorder } from './recorder.ts';
import type { DeliverySchedule } from './schedule.ts';
import type { Target } from './target.ts';

/** A delivery and its event. */
export interface Sending {
  readonly delivery: Delivery;
  readonly event: Event;
}

/** A delivery whose turn it is; `isBelieved`: its event was read just now. */
interface Turn extends Sending {
  readonly isBelieved: boolean;
}

/** Sends what was claimed, and has recorded what comes of it. */
export interface Sender {
  /**
   * Sends the deliveries of a window, as many at once as its width says.
   *
   * @param leasedUntilMs by performance.now(): past it nothing is begun.
   */
  sendWindow(
    window: Pick<Moved, 'windowId' | 'width'>,
    sendings: readonly Sending[],
    leasedUntilMs: number,
  ): void;
  sendWork(sendings: readonly Sending[], leasedUntilMs: number): void;
  /** Requests to an endpoint that this process may have on their way; each until what has come of it is recorded. */
  requestsTo(endpointId: string): number;
  /** Windows that are held. */
  windowIds(): string[];
  /** Claimed work that is on its way. */
  work(): Delivery[];
  /** Their leases were prolonged; those that are not in `kept` were taken up by somebody else. */
  renewed(windowIds: readonly string[], kept: ReadonlySet<string>, leasedUntilMs: number): void;
  /** Begins nothing more. */
  stop(): void;
}

export interface SenderDeps {
  readonly directory: Pick<Directory, 'targetOf'>;
  readonly courier: Pick<Courier, 'send'>;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly log: Pick<DeliveryLog, 'readByIds'>;
  readonly occupancy: Occupancy;
  readonly pace: Pace;
  readonly schedule: Pick<DeliverySchedule, 'circuitFailures' | 'retryAfterMs'>;
  /** Of a window's requests half have nothing left to send: there is room for others as soon as that is recorded. */
  readonly onHalfSent: (endpointId: string) => void;
  /** A delivery is not on its way any more; `isRecorded` says that this process has recorded what came of it. */
  readonly onSettled: (delivery: Delivery, result: Result | undefined, isRecorded: boolean) => void;
  readonly onError: (error: unknown) => void;
  readonly observer: Pick<Observer, 'webhookSent'>;
}

/**
 * Events were read a second ago, or less, when they are given to be sent. Those that then wait for longer for the ones before
 * them are read again: what was erased meanwhile is sent by nobody.
 */
const believedMs = 3_000;

/** Deliveries that were claimed together; of work each by itself. */
interface Window {
  readonly kind: ResultKind;
  readonly endpointId: string;
  /** Deliveries that are not settled. */
  left: number;
  /** How many of them may be on their way at once. */
  readonly width: number;
  readonly begunAtMs: number;
  leasedUntilMs: number;
  /** Of its requests, in a row. */
  failures: number;
  /** The endpoint has asked for nothing more until then, by performance.now(). */
  heldUntilMs: number;
}

export function createSender(deps: SenderDeps): Sender {
  const { directory, courier, recorder, log, occupancy, pace, schedule } = deps;
  const { onSettled, onError, observer } = deps;
  const windows = new Map<string, Window>();
  const work = new Map<string, Delivery>();
  const requests = new Counts();
  let isStopped = false;

  function begin(sendings: readonly Sending[], window: Window): void {
    for (const { delivery, event } of sendings) occupancy.add({ ...delivery, event });
    const byLane = Map.groupBy(sendings, ({ delivery }) => delivery.lane ?? keyOf(delivery));
    const lanes = [...byLane.values()];
    const atOnce = Math.min(window.width, lanes.length);
    let next = 0;
    let done = 0;
    const sendLanes = async () => {
      for (let lane = lanes[next++]; lane !== undefined; lane = lanes[next++]) {
        await sendInTurn(lane, window);
      }
      if (++done === Math.ceil(atOnce / 2)) deps.onHalfSent(window.endpointId);
    };
    requests.add(window.endpointId, Math.min(window.left, window.width));
    for (let n = 0; n < atOnce; n++) void sendLanes();
  }

  /** One after another; when one is to be tried again, the rest waits for it. */
  async function sendInTurn(lane: readonly Sending[], window: Window): Promise<void> {
    let last: Result['outcome'] | 'unknown' = 'succeeded';
    for (const sending of lane) {
      const isBelieved = performance.now() - window.begunAtMs <= believedMs;
      const result = await follow(last, { ...sending, isBelieved }, window);
      last = result?.outcome ?? 'unknown';
      void settle(sending, window, result);
    }
  }

  /** What comes of a delivery, after what came of the one before it in its lane. */
  async function follow(
    last: Result['outcome'] | 'unknown',
    sending: Turn,
    window: Window,
  ): Promise<Result | undefined> {
    if (last === 'unknown') return undefined;
    if (last !== 'succeeded' && last !== 'failed') return parked(sending.delivery);
    return attempt(sending, window);
  }

  /** Undefined where nothing was sent, or nobody knows: then the lease runs out, and it is sent again. */
  async function attempt(
    { delivery, event, isBelieved }: Turn,
    window: Window,
  ): Promise<Result | undefined> {
    const target = directory.targetOf(delivery.endpointId);
    if (isStopped || target === undefined || performance.now() > window.leasedUntilMs) {
      return undefined;
    }
    const waitMs = waitOf(target, window);
    if (waitMs !== undefined) return putOff(delivery, waitMs);
    const isReplay = delivery.cursorId !== delivery.endpointId;
    const replayId = isReplay ? idOf('rpl', delivery.cursorId) : undefined;
    try {
      const now = isBelieved ? event : (await log.readByIds([event.id])).get(event.id);
      if (now === undefined) return expired(delivery);
      const startedAtMs = performance.now();
      const result = await courier.send(delivery, { target, replayId }, now);
      if (result === undefined) return undefined;
      note(target, window, result);
      tell(result, now, startedAtMs);
      return result;
    } catch (error) {
      onError(error);
      return undefined;
    }
  }

  /** For how long what a window has not begun is put off; undefined: it is sent. */
  function waitOf({ status }: Target, window: Window): number | undefined {
    if (window.kind === 'work') return undefined;
    if (status !== 'enabled') return 0;
    if (window.failures >= schedule.circuitFailures) return schedule.retryAfterMs[0];
    const heldMs = window.heldUntilMs - performance.now();
    return heldMs > 0 ? heldMs : undefined;
  }

  function note(target: Target, window: Window, { outcome, durationMs, holdMs }: Result): void {
    if (outcome === 'succeeded') pace.note(target, durationMs);
    window.failures = outcome === 'succeeded' ? 0 : window.failures + 1;
    if (holdMs !== undefined) window.heldUntilMs = performance.now() + holdMs;
  }

  function tell(
    { outcome, status, delivery: { attempt } }: Result,
    event: Event,
    startedAtMs: number,
  ): void {
    if (outcome === 'parked' || outcome === 'put off') return;
    const durationMs = performance.now() - startedAtMs;
    observer.webhookSent({ outcome, status, attempt, event, startedAtMs, durationMs });
  }

  async function settle(
    { delivery, event }: Sending,
    window: Window,
    result: Result | undefined,
  ): Promise<void> {
    const isRecorded = result !== undefined && (await recorder.record(window.kind, result));
    window.left--;
    if (window.left < window.width) requests.add(delivery.endpointId, -1);
    if (window.kind === 'windows') leave(delivery.windowId, window, isRecorded);
    else if (isRecorded || !isStopped) work.delete(keyOf(delivery));
    occupancy.remove({ ...delivery, event });
    onSettled(delivery, result, isRecorded);
  }

  /** What was not sent keeps its window from others no longer than its lease: that is not prolonged. */
  function leave(windowId: string, { left }: Window, isRecorded: boolean): void {
    if (isRecorded ? left === 0 : !isStopped) windows.delete(windowId);
  }

  return {
    sendWindow({ windowId, width }, sendings, leasedUntilMs) {
      const [first] = sendings;
      if (first === undefined) return;
      const left = sendings.length;
      const window = newWindow('windows', first.delivery, { left, width, leasedUntilMs });
      windows.set(windowId, window);
      begin(sendings, window);
    },

    sendWork(sendings, leasedUntilMs) {
      // A lane has one of its deliveries on its way alone.
      for (const sending of sendings) {
        const { delivery } = sending;
        work.set(keyOf(delivery), delivery);
        begin([sending], newWindow('work', delivery, { left: 1, width: 1, leasedUntilMs }));
      }
    },

    requestsTo: (endpointId) => requests.of(endpointId),
    windowIds: () => [...windows.keys()],
    work: () => [...work.values()],

    renewed(windowIds, kept, leasedUntilMs) {
      for (const windowId of windowIds) {
        const window = windows.get(windowId);
        if (window === undefined) continue;
        if (kept.has(windowId)) window.leasedUntilMs = leasedUntilMs;
        else windows.delete(windowId);
      }
    },

    stop() {
      isStopped = true;
    },
  };
}

function newWindow(
  kind: ResultKind,
  { endpointId }: Delivery,
  given: Pick<Window, 'left' | 'width' | 'leasedUntilMs'>,
): Window {
  return { ...given, kind, endpointId, begunAtMs: performance.now(), failures: 0, heldUntilMs: 0 };
}
