import { DatabaseUnavailable } from '../../database-unavailable.ts';
import type { Event } from '../event.ts';
import { EventWorkspaceMissing, LogGap, LogSetBack } from '../event-errors.ts';
import type { EventLogStore } from '../log/event-log-store.ts';
import { isSetBack, type LogEnd, type LogPlace, placeAt, readLogEnd } from '../log/log-place.ts';
import type { LogRange } from '../log/log-range.ts';
import { type MatchingQuery, readMatching } from '../log/matching-events.ts';
import { assertGoesOn } from '../log/read-log.ts';
import { createEventFeed, type EventFeed, type FeedFailure } from './event-feed.ts';
import { createFeedMemory, type FeedMemory } from './feed-memory.ts';
import type { ContentRead } from './known-state.ts';
import { createSharedReads } from './shared-reads.ts';

/** Consecutive events, as they were read. */
export interface FedEvents {
  readonly events: readonly Event[];
  readonly content: ContentRead;
}

/** From where somebody reads a log on. */
export interface ReadFrom {
  readonly workspaceId: string;
  readonly place: LogPlace;
  /** Called only for a read of the database, which is waited for until the signal aborts. */
  readonly makeSignal?: () => AbortSignal;
}

/** Events of a range that pass a filter, what was not looked through, and the floor of the log when they were read. */
export interface FoundEvents extends FedEvents {
  readonly rest: LogRange | undefined;
  readonly firstSequence: number;
}

/** The feeds of this process: one per workspace that somebody follows. */
export interface EventFeeds {
  /**
   * Takes part in the feed of a workspace, which begins at its end; leave it at the end.
   *
   * @throws EventWorkspaceMissing, DatabaseUnavailable
   */
  join(workspaceId: string): Promise<{ readonly feed: EventFeed; leave(): void }>;
  /**
   * The events after a place, from the feed or, further back, from the database; none at the end. They are not outdated
   * yet.
   *
   * @throws the reason of its signal; SequenceExpired when retention has passed the place; LogGap, LogSetBack, EventWorkspaceMissing,
   * DatabaseUnavailable
   */
  read(feed: EventFeed, from: ReadFrom): Promise<FedEvents>;
  /**
   * The next events of a range that pass a filter, from the database; not outdated yet either.
   *
   * @throws the reason of its signal, EventWorkspaceMissing, DatabaseUnavailable
   */
  lookUp(feed: EventFeed, query: MatchingQuery): Promise<FoundEvents>;
  /**
   * Where a log ends; what is found is held against what the feed has read.
   *
   * @throws EventWorkspaceMissing, DatabaseUnavailable
   */
  readEnd(workspaceId: string): Promise<LogEnd>;
  /** Tells that a workspace's log has grown, here or in another process. */
  wake(workspaceId: string, lastSequence: number): void;
  readonly count: number;
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

/** Of the same events, where each came too late to be given out. */
const readsMax = 3;

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
  const readShared = createSharedReads(store, report.onGap);

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
      const place = end.sequence < committed ? placeAt(committed) : end;
      return [{ workspaceId, feed, place, revision: feed.state.revision }];
    });
    const ends = await store.readLogEnds(workspaceIds);
    for (const { workspaceId, feed, place, revision } of before) {
      const now = ends.get(workspaceId);
      if (now === undefined) feed.fail(new EventWorkspaceMissing(workspaceId));
      else if (isSetBack(place, now) || now.revision < revision) {
        feed.fail(new LogSetBack(workspaceId, place.sequence, now.sequence));
      } else feed.learn(now);
    }
    return ends;
  }

  async function readEnd(workspaceId: string): Promise<LogEnd> {
    const end = (await readEnds([workspaceId])).get(workspaceId);
    if (end === undefined) throw new EventWorkspaceMissing(workspaceId);
    return end;
  }

  /** What the feed keeps, or else a chunk of the database. */
  async function readNext(
    feed: EventFeed,
    { workspaceId, place, makeSignal }: ReadFrom,
  ): Promise<FedEvents> {
    const kept = feed.peek(place.sequence);
    if (kept !== undefined) return { events: kept, content: feed.state.content };
    const next = await readShared({
      workspaceId,
      place,
      knownLast: feed.end.sequence,
      knownRevision: feed.state.revision,
      signal: makeSignal?.(),
    });
    await assertGoesOn(store, { workspaceId, place }, next);
    const { events, state } = next;
    if (state === undefined) return { events, content: feed.state.content };
    feed.learn(state);
    return { events, content: feed.state.contentOf(state) };
  }

  /** Reads until what was read may be given out: again where something was erased meanwhile. */
  async function readCurrent<Read extends FedEvents>(
    workspaceId: string,
    read: () => Promise<Read>,
  ): Promise<Read> {
    for (let attempt = 1; attempt <= readsMax; attempt++) {
      const found = await read();
      if (found.events.length === 0 || !found.content.isOutdated) return found;
      // It took long, or the feed has kept it, and was not told for long what was erased.
      await readEnd(workspaceId);
      if (!found.content.isOutdated) return found;
    }
    throw new DatabaseUnavailable('PostgreSQL answers too slowly', { sent: false });
  }

  return {
    get count() {
      return entries.size;
    },
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

    async read(feed, from) {
      try {
        return await readCurrent(from.workspaceId, () => readNext(feed, from));
      } catch (error) {
        if (error instanceof LogSetBack) feed.fail(error);
        throw error;
      }
    },

    lookUp(feed, query) {
      const { workspaceId } = query.range;
      return readCurrent(workspaceId, async () => {
        const { events, rest, ...read } = await readMatching(store, query);
        const state = read.state ?? (await readEnd(workspaceId));
        feed.learn(state);
        const { firstSequence } = state;
        return { events, rest, firstSequence, content: feed.state.contentOf(state) };
      });
    },

    readEnd,

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
