import type { Event } from '../event.ts';
import { EventWorkspaceMissing, LogGap, LogSetBack } from '../event-errors.ts';
import type { EventLogStore } from '../log/event-log-store.ts';
import { isSetBack, type LogEnd, type LogPlace, readLogEnd } from '../log/log-place.ts';
import { assertGoesOn, type NextEvents, readLog } from '../log/read-log.ts';
import { createEventFeed, type EventFeed, type FeedFailure } from './event-feed.ts';
import { createFeedMemory, type FeedMemory } from './feed-memory.ts';

/** The feeds of this process: one per workspace that somebody follows. */
export interface EventFeeds {
  /**
   * Takes part in the feed of a workspace, which begins at its end; leave it at the end.
   *
   * @throws EventWorkspaceMissing, DatabaseUnavailable
   */
  join(workspaceId: string): Promise<{ readonly feed: EventFeed; leave(): void }>;
  /**
   * The events after a place, from the feed or, further back, from the database; none at the end.
   *
   * @throws SequenceExpired when retention has passed the place; LogGap, LogSetBack, EventWorkspaceMissing,
   * DatabaseUnavailable
   */
  read(feed: EventFeed, workspaceId: string, place: LogPlace): Promise<readonly Event[]>;
  /**
   * Where a log ends; what is found is held against what the feed has read.
   *
   * @throws EventWorkspaceMissing, DatabaseUnavailable
   */
  readEnd(workspaceId: string): Promise<LogEnd>;
  /** Tells that a workspace's log has grown, here or in another process. */
  wake(workspaceId: string, lastSequence: number): void;
  /** What all of them keep together. */
  readonly memory: FeedMemory;
  /** One query for all feeds: finds what no wake-up told of, logs that were set back, and workspaces that are gone. */
  poll(): Promise<void>;
}

/** Whom to tell what. */
export interface FeedReports {
  readonly onGap: (error: LogGap) => void;
  readonly onSetBack: (error: LogSetBack) => void;
  readonly onError: (error: unknown) => void;
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
  report: FeedReports,
  memory: FeedMemory = createFeedMemory(),
): EventFeeds {
  const entries = new Map<string, Entry>();
  /** Chunks that are being read: subscribers that catch up side by side share them. */
  const reads = new Map<string, Promise<NextEvents>>();

  async function open(workspaceId: string): Promise<EventFeed> {
    const start = await readLogEnd(store, workspaceId);
    const feed = createEventFeed(store, { workspaceId, start, memory }, (error) => {
      if (error instanceof LogGap) report.onGap(error);
      else drop(workspaceId, feed, error);
    });
    return feed;
  }

  /** Whoever comes now follows the log as it is now, in a feed of its own. */
  function drop(workspaceId: string, feed: EventFeed, error: FeedFailure): void {
    if (error instanceof LogSetBack) report.onSetBack(error);
    if (entries.get(workspaceId)?.ready === feed) entries.delete(workspaceId);
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
    if (feed === undefined || feed.end.sequence >= committed) return;
    feed.advance(committed).catch(report.onError);
  }

  /** What is answered was read after what the feeds had read before: a log that ends earlier was set back. */
  async function readEnds(workspaceIds: readonly string[]): Promise<Map<string, LogEnd>> {
    const before = workspaceIds.flatMap((workspaceId) => {
      const { ready: feed, committed = 0 } = entries.get(workspaceId) ?? {};
      if (feed === undefined) return [];
      const { end } = feed;
      const place = end.sequence < committed ? { sequence: committed, eventId: undefined } : end;
      return [{ workspaceId, feed, place }];
    });
    const ends = await store.readLogEnds(workspaceIds);
    for (const { workspaceId, feed, place } of before) {
      const now = ends.get(workspaceId);
      if (now === undefined) feed.fail(new EventWorkspaceMissing(workspaceId));
      else if (isSetBack(place, now)) {
        feed.fail(new LogSetBack(workspaceId, place.sequence, now.sequence));
      } else feed.learn(now);
    }
    return ends;
  }

  /** A chunk of the log, shared with whoever reads from the same sequence at the same time. */
  function readChunk(workspaceId: string, afterSequence: number, knownLast: number) {
    const key = `${workspaceId} ${afterSequence}`;
    const running = reads.get(key);
    if (running !== undefined) return running;
    const read = readLog(store, { workspaceId, afterSequence, knownLast })
      .catch((error: unknown) => {
        if (error instanceof LogGap) report.onGap(error);
        throw error;
      })
      .finally(() => reads.delete(key));
    reads.set(key, read);
    return read;
  }

  return {
    memory,

    async join(workspaceId) {
      const entry = enter(workspaceId);
      entry.members++;
      const leave = () => {
        entry.members--;
        if (entry.members > 0) return;
        entry.ready?.close();
        if (entries.get(workspaceId) === entry) entries.delete(workspaceId);
      };
      try {
        return { feed: await entry.feed, leave };
      } catch (error) {
        leave();
        throw error;
      }
    },

    async read(feed, workspaceId, place) {
      const kept = feed.peek(place.sequence);
      if (kept !== undefined) return kept;
      try {
        const next = await readChunk(workspaceId, place.sequence, feed.end.sequence);
        await assertGoesOn(store, { workspaceId, place }, next);
        return next.events;
      } catch (error) {
        if (error instanceof LogSetBack) feed.fail(error);
        throw error;
      }
    },

    async readEnd(workspaceId) {
      const end = (await readEnds([workspaceId])).get(workspaceId);
      if (end === undefined) throw new EventWorkspaceMissing(workspaceId);
      return end;
    },

    wake(workspaceId, lastSequence) {
      const entry = entries.get(workspaceId);
      if (entry === undefined) return;
      entry.committed = Math.max(entry.committed, lastSequence);
      catchUp(entry);
    },

    async poll() {
      if (entries.size === 0) return;
      for (const [id, { sequence }] of await readEnds([...entries.keys()])) this.wake(id, sequence);
    },
  };
}
