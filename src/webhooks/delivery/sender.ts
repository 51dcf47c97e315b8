import type { Event } from '../../events/index.ts';
import type { Observer } from '../../observer.ts';
import { idOf } from '../../type-id.ts';
import type { Courier } from './courier.ts';
import { type Delivery, expired, keyOf, parked, type Result } from './delivery.ts';
import type { Directory } from './directory.ts';
import type { DeliveryLog } from './log-parts.ts';
import type { Occupancy } from './occupancy.ts';
import type { ResultKind } from './record-store.ts';
import type { Recorder } from './recorder.ts';

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
  /** @param leasedUntilMs by performance.now(): past it nothing is begun. */
  sendWindow(windowId: string, sendings: readonly Sending[], leasedUntilMs: number): void;
  sendWork(sendings: readonly Sending[], leasedUntilMs: number): void;
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

interface Window {
  /** Deliveries that are not settled. */
  left: number;
  leasedUntilMs: number;
}

export function createSender(deps: SenderDeps): Sender {
  const { directory, courier, recorder, log, occupancy, onSettled, onError, observer } = deps;
  const windows = new Map<string, Window>();
  const work = new Map<string, Delivery>();
  let isStopped = false;

  function begin(kind: ResultKind, sendings: readonly Sending[], lease: Window): void {
    const lanes = Map.groupBy(sendings, ({ delivery }) => delivery.lane ?? keyOf(delivery));
    for (const { delivery, event } of sendings) occupancy.add({ ...delivery, event });
    for (const lane of lanes.values()) void sendInTurn(kind, lane, lease);
  }

  /** One after another; when one is to be tried again, the rest waits for it. */
  async function sendInTurn(
    kind: ResultKind,
    lane: readonly Sending[],
    lease: Window,
  ): Promise<void> {
    const begunAtMs = performance.now();
    let last: Result['outcome'] | 'unknown' = 'succeeded';
    for (const sending of lane) {
      const isBelieved = performance.now() - begunAtMs <= believedMs;
      const result = await follow(last, { ...sending, isBelieved }, lease);
      last = result?.outcome ?? 'unknown';
      void settle(kind, sending, result);
    }
  }

  /** What comes of a delivery, after what came of the one before it in its lane. */
  async function follow(
    last: Result['outcome'] | 'unknown',
    sending: Turn,
    lease: Window,
  ): Promise<Result | undefined> {
    if (last === 'unknown') return undefined;
    if (last === 'retry' || last === 'parked') return parked(sending.delivery);
    return attempt(sending, lease);
  }

  /** Undefined where nothing was sent, or nobody knows: then the lease runs out, and it is sent again. */
  async function attempt(
    { delivery, event, isBelieved }: Turn,
    lease: Window,
  ): Promise<Result | undefined> {
    const target = directory.targetOf(delivery.endpointId);
    if (isStopped || target === undefined || performance.now() > lease.leasedUntilMs) {
      return undefined;
    }
    const isReplay = delivery.cursorId !== delivery.endpointId;
    const replayId = isReplay ? idOf('rpl', delivery.cursorId) : undefined;
    try {
      const now = isBelieved ? event : (await log.readByIds([event.id])).get(event.id);
      if (now === undefined) return expired(delivery);
      const startedAtMs = performance.now();
      const result = await courier.send(delivery, { target, replayId }, now);
      if (result !== undefined) tell(result, now, startedAtMs);
      return result;
    } catch (error) {
      onError(error);
      return undefined;
    }
  }

  function tell(
    { outcome, status, delivery: { attempt } }: Result,
    event: Event,
    startedAtMs: number,
  ): void {
    if (outcome === 'parked') return;
    const durationMs = performance.now() - startedAtMs;
    observer.webhookSent({ outcome, status, attempt, event, startedAtMs, durationMs });
  }

  async function settle(
    kind: ResultKind,
    { delivery, event }: Sending,
    result: Result | undefined,
  ): Promise<void> {
    const isRecorded = result !== undefined && (await recorder.record(kind, result));
    if (kind === 'windows') leave(delivery.windowId, isRecorded);
    else if (isRecorded || !isStopped) work.delete(keyOf(delivery));
    occupancy.remove({ ...delivery, event });
    onSettled(delivery, result, isRecorded);
  }

  /** What was not sent keeps its window from others no longer than its lease: that is not prolonged. */
  function leave(windowId: string, isRecorded: boolean): void {
    const window = windows.get(windowId);
    if (window === undefined) return;
    window.left--;
    if (isRecorded ? window.left === 0 : !isStopped) windows.delete(windowId);
  }

  return {
    sendWindow(windowId, sendings, leasedUntilMs) {
      const window = { left: sendings.length, leasedUntilMs };
      windows.set(windowId, window);
      begin('windows', sendings, window);
    },

    sendWork(sendings, leasedUntilMs) {
      // A lane has one of its deliveries on its way alone.
      for (const sending of sendings) {
        work.set(keyOf(sending.delivery), sending.delivery);
        begin('work', [sending], { left: 1, leasedUntilMs });
      }
    },

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
