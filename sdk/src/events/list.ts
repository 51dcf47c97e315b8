import type { JsonObject } from '../json.ts';
import type { Names } from '../known-names.ts';
import { PagedList } from '../paged-list.ts';
import type { Event } from './event.ts';

/** Which events to list. */
export interface ListQuery {
  /** The workspace whose log to read: ws_… */
  readonly workspaceId: string;
  /**
   * Only events whose type matches one of these: a type, or a beginning of types and '*'
   * ('invoice.*'). 0–20; absent or empty means every type that the API key may read.
   */
  readonly typePatterns?: readonly string[] | undefined;
  /** Another name for `typePatterns`, which it was called at first; only one of them may be there. */
  readonly types?: readonly string[] | undefined;
  /** Only events about this: their `subject` is the same text. */
  readonly subject?: string | undefined;
  /** Only events created after this time; absent means no bound. */
  readonly createdAfter?: Date | undefined;
  /** Only events created before this time; absent means no bound. */
  readonly createdBefore?: Date | undefined;
  /** Only events with a higher sequence than this; absent or 0 means from the first that retention keeps. */
  readonly afterSequence?: number | undefined;
  /** By sequence: 'asc' (default), the oldest first, or 'desc', the newest first. */
  readonly order?: 'asc' | 'desc' | undefined;
  /** Events a page, 1–500; default 100. */
  readonly pageSize?: number | undefined;
  /** `nextPageToken` of an earlier page, with the same filters and order; absent: the first page. */
  readonly pageToken?: string | undefined;
}

/** @internal */
export const listQueryNames = {
  workspaceId: true,
  typePatterns: true,
  types: true,
  subject: true,
  createdAfter: true,
  createdBefore: true,
  afterSequence: true,
  order: true,
  pageSize: true,
  pageToken: true,
} satisfies Names<ListQuery>;

/** A page of events. */
export interface EventPage<Payload extends object = JsonObject> {
  /** At most `pageSize` events, in the order that was asked for. May be fewer, even none, before the end. */
  readonly events: readonly Event<Payload>[];
  /** `pageToken` of the next page; undefined at the end of the list, and only there. */
  readonly nextPageToken: string | undefined;
  /** The first sequence that the workspace's retention keeps; one more than the newest when it keeps none. */
  readonly firstSequence: number;
  /** The list from the next page on, to be awaited or iterated; undefined at the end of the list. */
  nextPage(): EventList<Payload> | undefined;
}

/**
 * The events that `list` found: `await` gives one page, `for await` gives every event, page after page.
 * Nothing is sent before the one or the other. The first page is fetched once, however often it is used.
 */
export class EventList<Payload extends object = JsonObject> extends PagedList<
  Event<Payload>,
  EventPage<Payload>
> {
  override readonly [Symbol.toStringTag] = 'EventList';

  /** @internal */
  constructor(fetchPage: () => Promise<EventPage<Payload>>, signal: AbortSignal | undefined) {
    super(fetchPage, ({ events }) => events, signal);
  }
}
