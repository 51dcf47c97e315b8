import type { Event } from '../../events/index.ts';
import type { EndpointHealth } from './record-store.ts';
import type { DeliverySchedule } from './schedule.ts';
import type { TellingStore } from './telling-store.ts';

/** Tells workspaces what becomes of their endpoints, and disables those that have been given up. */
export interface Teller {
  /** An endpoint has answered: whether it is to be told that it fails, or does no more, or is to be disabled. */
  consider(health: EndpointHealth): void;
  /** It has answered 410. */
  gone(endpointId: string): void;
  /** Resolves when nothing is being told. */
  drained(): Promise<void>;
}

export interface TellerDeps {
  readonly store: TellingStore;
  readonly schedule: Pick<DeliverySchedule, 'tellAfterMs' | 'disableAfterMs'>;
  /** An event of the service's own is in the log. */
  readonly onTold: (event: Event) => void;
  /** An endpoint was disabled. */
  readonly onDisabled: (endpointId: string) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

export function createTeller(deps: TellerDeps): Teller {
  const { store, schedule, onTold, onDisabled, onError } = deps;
  /** Endpoints that something is being said of: a thousand failures at once are one matter. */
  const telling = new Map<string, Promise<void>>();

  function tell(endpointId: string, change: () => Promise<Event | undefined>): void {
    if (telling.has(endpointId)) return;
    const told = change()
      .then((event) => event && onTold(event))
      .catch(onError)
      .finally(() => telling.delete(endpointId));
    telling.set(endpointId, told);
  }

  async function disable(endpointId: string, reason: 'gone' | 'failing') {
    const event = await store.disable(endpointId, reason);
    if (event !== undefined) await onDisabled(endpointId);
    return event;
  }

  return {
    consider({ endpointId, failures, failingForMs = 0, isTold }) {
      if (failures === 0) {
        if (isTold) tell(endpointId, () => store.tellRecovered(endpointId));
      } else if (failingForMs >= schedule.disableAfterMs) {
        tell(endpointId, () => disable(endpointId, 'failing'));
      } else if (failingForMs >= schedule.tellAfterMs && !isTold) {
        tell(endpointId, () => store.tellFailing(endpointId));
      }
    },

    gone: (endpointId) => tell(endpointId, () => disable(endpointId, 'gone')),

    async drained() {
      await Promise.all(telling.values());
    },
  };
}
