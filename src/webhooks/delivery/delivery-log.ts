import type { EventLogStore, EventStore } from '../../events/index.ts';
import type { DeliveryLog } from './engine.ts';

const eventsMax = 500;
const readTimeoutMs = 5_000;

/** The log as deliveries read it. */
export function createDeliveryLog(
  logs: Pick<EventLogStore, 'read'>,
  store: Pick<EventStore, 'read'>,
): DeliveryLog {
  return {
    async readAfter(workspaceId, afterSequence, upTo) {
      const range = {
        workspaceId,
        low: afterSequence,
        high: upTo,
        direction: 'asc',
        limit: eventsMax,
      } as const;
      const { events, isCut } = await logs.read(range, { kind: 'all' });
      const last = events.at(-1)?.sequence ?? afterSequence;
      const isWhole = !isCut && events.length < eventsMax;
      return {
        events,
        end: isWhole ? Math.max(last, events.length === 0 ? afterSequence : upTo) : last,
      };
    },

    async readByIds(ids) {
      const found = new Map();
      for (let left: readonly string[] = ids; left.length > 0; ) {
        const { events, leftOut } = await store.read(left, readTimeoutMs);
        for (const [id, event] of events) found.set(id, event);
        left = leftOut;
      }
      return found;
    },
  };
}
