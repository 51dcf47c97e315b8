import type { Event } from './event.ts';
import { LogGap } from './event-errors.ts';
import { createEventFeed, type EventFeed, readLog } from './event-feed.ts';
import type { EventLogStore } from './event-log-store.ts';

/** The feeds of this process: one per workspace that somebody follows. */
export interface EventFeeds {
  /** Takes part in the feed of a workspace, which begins at its end; leave it at the end. */
  join(workspaceId: string): Promise<{ readonly feed: EventFeed; leave(): void }>;
  /** The events after a sequence, from the feed or, further back, from the database; none at the end. */
  read(feed: EventFeed, workspaceId: string, afterSequence: number): Promise<readonly Event[]>;
  /** Tells that a workspace's log has grown, here or in another process. */
  wake(workspaceId: string, lastSequence: number): void;
  /** One query for all feeds: finds what no wake-up told of. */
  poll(): Promise<void>;
}

interface Entry {
  readonly feed: Promise<EventFeed>;
  ready: EventFeed | undefined;
  /** The highest sequence that is known to be committed. */
  committed: number;
  members: number;
}

export function createEventFeeds(
  store: EventLogStore,
  report: { readonly onGap: (error: LogGap) => void; readonly onError: (error: unknown) => void },
): EventFeeds {
  const entries = new Map<string, Entry>();
  /** Chunks that are being read: subscribers that catch up side by side share them. */
  const reads = new Map<string, Promise<readonly Event[]>>();

  async function open(workspaceId: string): Promise<EventFeed> {
    const last = (await store.readLastSequences([workspaceId])).get(workspaceId) ?? 0;
    return createEventFeed(store, workspaceId, last, report.onGap);
  }

  function enter(workspaceId: string): Entry {
    const known = entries.get(workspaceId);
    if (known !== undefined) return known;
    const entry: Entry = { feed: open(workspaceId), ready: undefined, committed: 0, members: 0 };
    entries.set(workspaceId, entry);
    entry.feed.then(
      (feed) => {
        entry.ready = feed;
        catchUp(entry);
      },
      () => entries.delete(workspaceId),
    );
    return entry;
  }

  function catchUp({ ready: feed, committed }: Entry): void {
    if (feed === undefined || feed.lastSequence >= committed) return;
    feed.advance(committed).catch(report.onError);
  }

  return {
    async join(workspaceId) {
      const entry = enter(workspaceId);
      entry.members++;
      const leave = () => {
        entry.members--;
        if (entry.members === 0 && entries.get(workspaceId) === entry) entries.delete(workspaceId);
      };
      try {
        return { feed: await entry.feed, leave };
      } catch (error) {
        leave();
        throw error;
      }
    },

    async read(feed, workspaceId, afterSequence) {
      const kept = feed.peek(afterSequence);
      if (kept !== undefined) return kept;
      const place = `${workspaceId} ${afterSequence}`;
      const running = reads.get(place);
      if (running !== undefined) return running;
      const read = readLog(store, workspaceId, afterSequence, feed.lastSequence)
        .catch((error: unknown) => {
          if (error instanceof LogGap) report.onGap(error);
          throw error;
        })
        .finally(() => reads.delete(place));
      reads.set(place, read);
      return read;
    },

    wake(workspaceId, lastSequence) {
      const entry = entries.get(workspaceId);
      if (entry === undefined) return;
      entry.committed = Math.max(entry.committed, lastSequence);
      catchUp(entry);
    },

    async poll() {
      if (entries.size === 0) return;
      for (const [id, last] of await store.readLastSequences([...entries.keys()])) {
        this.wake(id, last);
      }
    },
  };
}
