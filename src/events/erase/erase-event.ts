import type { Actor } from '../../audit/index.ts';
import type { CommitNews } from '../commit-news.ts';
import type { Event } from '../event.ts';
import { EventNotFound } from '../event-errors.ts';
import type { EventReader } from '../log/event-reader.ts';
import type { EraseEventStore } from './erase-event-store.ts';

/**
 * Erases an event that the caller may read, and returns it as it is then; one that was erased before, as it is.
 *
 * @throws EventNotFound when it is kept no more, EventWorkspaceMissing, AppendContended, DatabaseContended,
 * DatabaseUnavailable
 */
export type EraseEvent = (event: Event, actor: Actor) => Promise<Event>;

export interface EraseEventDeps {
  readonly store: EraseEventStore;
  readonly reader: EventReader;
  readonly commits: Pick<CommitNews, 'tell'>;
}

export function createEraseEvent({ store, reader, commits }: EraseEventDeps): EraseEvent {
  return async (event, actor) => {
    if (event.erasedAt !== undefined) return event;
    const erasure = await store.erase(event, actor);
    if (erasure === undefined) return getNow(event.id);
    // Whoever follows the log reads on, and meets the revision with the event that tells of it.
    commits.tell(event.workspaceId, erasure.notice.sequence, 'here');
    return erasure.event;
  };

  async function getNow(id: string): Promise<Event> {
    const event = await reader.find(id);
    if (event === undefined) throw new EventNotFound(id);
    return event;
  }
}
