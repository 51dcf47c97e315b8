import type { Event } from '../../events/index.ts';
import { idOf } from '../../type-id.ts';
import type { Courier } from './courier.ts';
import { type Delivery, expired } from './delivery.ts';
import type { DeliveryLog } from './delivery-log.ts';
import type { DeliveryStore } from './delivery-store.ts';
import type { Directory } from './directory.ts';
import type { Occupancy } from './occupancy.ts';
import type { Recorder } from './recorder.ts';
import type { DeliverySchedule } from './schedule.ts';
import type { Sender } from './sender.ts';

/** Claims deliveries that wait when they are due, and has them sent. */
export interface WorkClaimer {
  /** Endpoints that may have something to claim. */
  mark(endpointIds: readonly string[]): void;
  /** Work of an endpoint has ended, which may make room for more. */
  ended(endpointId: string): void;
  /** Endpoints whose keys this process lacks, so that looks leave them out: others send to them. */
  keyless(): string[];
  /** An endpoint was changed: its keys too, maybe. */
  changed(endpointId: string): void;
  stop(): Promise<void>;
}

export interface WorkClaimerDeps {
  readonly store: Pick<DeliveryStore, 'claimWork'>;
  readonly directory: Pick<Directory, 'targetOf'>;
  readonly log: Pick<DeliveryLog, 'readByIds'>;
  readonly courier: Pick<Courier, 'canSend'>;
  readonly sender: Pick<Sender, 'sendWork'>;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly occupancy: Occupancy;
  readonly schedule: DeliverySchedule;
  readonly onError: (error: unknown) => void;
}

/** What one statement claims at the most, for all of its endpoints; their events are read together. */
const claimedMax = 100;
const endpointsPerClaim = 20;
const keylessMax = 10_000;

export function createWorkClaimer(deps: WorkClaimerDeps): WorkClaimer {
  const { store, directory, log, courier, sender, recorder, occupancy, schedule, onError } = deps;
  const marked = new Set<string>();
  /** Endpoints with more that is due than they had room for. */
  const limited = new Set<string>();
  const keyless = new Set<string>();
  let claiming: Promise<void> | undefined;
  let isStopped = false;

  function mark(endpointIds: readonly string[]): void {
    for (const id of endpointIds) marked.add(id);
    if (marked.size > 0 && !isStopped) claiming ??= claimAll();
  }

  async function claimAll(): Promise<void> {
    try {
      while (marked.size > 0 && !isStopped) {
        const batch = [...marked].slice(0, endpointsPerClaim);
        for (const id of batch) marked.delete(id);
        await claim(batch.filter(hasRoom));
      }
    } catch (error) {
      // What is due is found again by the next look.
      marked.clear();
      onError(error);
    } finally {
      claiming = undefined;
    }
  }

  function hasRoom(endpointId: string): boolean {
    const target = directory.targetOf(endpointId);
    // An endpoint that is gone has its work cleared away.
    if (target === undefined) return true;
    if (!courier.canSend(target)) {
      if (keyless.size < keylessMax) keyless.add(endpointId);
      return false;
    }
    return occupancy.roomFor(target.workspaceId, endpointId) > 0;
  }

  async function claim(endpointIds: readonly string[]): Promise<void> {
    if (endpointIds.length === 0) return;
    const leasedUntilMs = performance.now() + schedule.leaseMs;
    const limit = Math.floor(claimedMax / endpointIds.length);
    const { deliveries, nextMs } = await store.claimWork(endpointIds, limit);
    await send(deliveries, leasedUntilMs);
    const taken = new Set(deliveries.map(({ endpointId }) => endpointId));
    for (const [endpointId, ms] of nextMs) {
      if (ms > 0) limited.delete(endpointId);
      else if (taken.has(endpointId)) limited.add(endpointId);
    }
  }

  async function send(deliveries: readonly Delivery[], leasedUntilMs: number): Promise<void> {
    if (deliveries.length === 0) return;
    const ids = new Set(deliveries.map(({ eventId }) => idOf('evt', eventId)));
    const events = await log.readByIds([...ids]);
    const eventOf = ({ eventId }: Delivery) => events.get(idOf('evt', eventId));
    for (const delivery of deliveries) {
      if (eventOf(delivery) === undefined) void recorder.record('work', expired(delivery));
    }
    const sendings = deliveries.flatMap((delivery) => {
      const event: Event | undefined = eventOf(delivery);
      return event === undefined ? [] : [{ delivery, event }];
    });
    sender.sendWork(sendings, leasedUntilMs);
  }

  return {
    mark,
    ended(endpointId) {
      if (limited.delete(endpointId)) mark([endpointId]);
    },
    keyless: () => [...keyless],
    changed: (endpointId) => void keyless.delete(endpointId),
    async stop() {
      isStopped = true;
      await claiming;
    },
  };
}
