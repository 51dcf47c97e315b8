import type { Event, EventLogStore } from '../../events/index.ts';
import type { Cursor } from '../delivery/target.ts';
import type { CountMatching } from '../replays/matching-store.ts';
import type { Expiring, LossStore } from './loss-store.ts';

/** Tells workspaces what retention takes from their endpoints, before and after, each event once. */
export interface Losses {
  /** Takes a cursor past what retention has taken, and tells of it: at once, or when it has told of others an hour ago. */
  skip(cursor: Pick<Cursor, 'id'>): Promise<number | undefined>;
  /** A round over all cursors, of endpoints that are paused or disabled too. May end early when its signal aborts. */
  tell(signal: AbortSignal): Promise<void>;
}

export interface LossesDeps {
  readonly store: LossStore;
  readonly logs: Pick<EventLogStore, 'findPlaceOfTime'>;
  readonly countMatching: CountMatching;
  /** An event of the service's own is in the log. */
  readonly onTold: (event: Event) => void;
  /** One cursor that fails keeps no other's from being told of. */
  readonly onError: (error: unknown) => void;
}

const cursorsAtOnce = 100;
const nil = '00000000-0000-0000-0000-000000000000';

export function createLosses(deps: LossesDeps): Losses {
  const { store, logs, countMatching, onTold, onError } = deps;

  async function skip({ id }: Pick<Cursor, 'id'>): Promise<number | undefined> {
    const skipped = await store.skip(id);
    if (skipped?.event !== undefined) onTold(skipped.event);
    return skipped?.position;
  }

  /** Warns of what goes within the lead after the oldest: so that the next warning comes no sooner than that has gone. */
  async function warn(expiring: Expiring): Promise<void> {
    const { workspaceId, sequence, createdAt, leadMs, endSequence } = expiring;
    const until = new Date(createdAt.getTime() + leadMs + 1);
    const place = await logs.findPlaceOfTime(workspaceId, until);
    const last = Math.max(sequence, Math.min(place, endSequence ?? place));
    if (!expiring.hasWork && !(await loses(expiring, last))) {
      if (last > expiring.position) await store.pass(expiring, last);
      return;
    }
    const event = await store.warn(expiring, { first: sequence, last });
    if (event !== undefined) onTold(event);
  }

  /** Whether anything that was not gone through is for the endpoint. */
  async function loses(expiring: Expiring, last: number): Promise<boolean> {
    const { workspaceId, endpointId, onlyFailed, subject, typePatterns } = expiring;
    const target = { typePatterns: expiring.endpointPatterns, subject };
    const { count, isAtLeast } = await countMatching({
      workspaceId,
      endpointId,
      low: expiring.unreadAfter,
      high: last,
      onlyFailed,
      matcher: { target, typePatterns },
      countMax: 1,
    });
    return count > 0 || isAtLeast;
  }

  async function each<Item>(
    list: (afterId: string, limit: number) => Promise<Item[]>,
    idOfItem: (item: Item) => string,
    { signal, tell }: { signal: AbortSignal; tell: (item: Item) => Promise<unknown> },
  ): Promise<void> {
    for (let afterId: string | undefined = nil; afterId !== undefined; ) {
      const page: Item[] = await list(afterId, cursorsAtOnce);
      for (const item of page) {
        if (signal.aborted) return;
        await tell(item).catch(onError);
      }
      const last = page.at(-1);
      afterId = last === undefined || page.length < cursorsAtOnce ? undefined : idOfItem(last);
    }
  }

  return {
    skip,

    async tell(signal) {
      await each(store.listLost, (id) => id, { signal, tell: (id) => skip({ id }) });
      await each(store.listExpiring, ({ cursorId }) => cursorId, { signal, tell: warn });
    },
  };
}
