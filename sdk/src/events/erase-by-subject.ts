import { type HarborError, NotFoundError, SequenceExpiredError } from '../errors.ts';
import type { Names } from '../known-names.ts';
import { type RequestOptions, requestOptionNames } from '../options.ts';
import type { Event } from './event.ts';
import type { EventList } from './list.ts';

/** Whose events to erase. */
export interface EraseBySubjectQuery {
  /** The workspace whose log holds the events: ws_… */
  readonly workspaceId: string;
  /** What the events are about: 1–255 characters, compared as they are. */
  readonly subject: string;
}

/** Options of erasing all of a subject; `timeoutMs` and `maxRetries` are of each call. */
export interface EraseBySubjectOptions extends RequestOptions {
  /** Called with each event once it is erased. What it throws ends the work. */
  readonly onErased?: ((event: Event) => void) | undefined;
}

/** @internal */
export const eraseBySubjectQueryNames = {
  workspaceId: true,
  subject: true,
} satisfies Names<EraseBySubjectQuery>;
/** @internal */
export const eraseBySubjectOptionNames = {
  onErased: true,
  ...requestOptionNames,
} satisfies Names<EraseBySubjectOptions>;

/** What erasing all of a subject has done. */
export interface ErasedBySubject {
  /** Events that were erased now; those that had been erased before have no subject any more. */
  readonly erased: number;
}

/** What is done with single events. */
export interface EraseCalls {
  readonly subject: string;
  /** The events of the subject that are still there, the oldest first. */
  readonly list: () => EventList;
  readonly erase: (id: string) => Promise<Event>;
  readonly onErased: ((event: Event) => void) | undefined;
}

/** Calls under way at once: the service carries them out one after the other, and waits for none of them. */
const atOnce = 4;

/** Erases what the list holds; see Events.eraseBySubject. */
export async function eraseAll(calls: EraseCalls): Promise<ErasedBySubject> {
  let erased = 0;

  async function eraseOne({ id, subject }: Event): Promise<void> {
    // A process of a version that knows no subjects lists everything, and another one would erase it.
    if (subject !== calls.subject) return;
    const event = await unlessGone(calls.erase(id));
    if (event === undefined) return;
    erased += 1;
    calls.onErased?.(event);
  }

  for (;;) {
    try {
      let page = await calls.list();
      for (;;) {
        for (let from = 0; from < page.events.length; from += atOnce) {
          await allOf(page.events.slice(from, from + atOnce).map(eraseOne));
        }
        const next = page.nextPage();
        if (next === undefined) return { erased };
        page = await next;
      }
    } catch (error) {
      // Retention was faster: what lay between is gone as well. What is left is found from the beginning.
      if (!(error instanceof SequenceExpiredError)) throw error;
    }
  }
}

/** When it rejects, nothing is under way any more. */
async function allOf(tasks: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(tasks)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** Retention may take an event between its page and its turn: then there is nothing left to erase. */
async function unlessGone(erasing: Promise<Event>): Promise<Event | undefined> {
  try {
    return await erasing;
  } catch (error) {
    const isGone =
      error instanceof NotFoundError && (error as HarborError).reason === 'EVENT_NOT_FOUND';
    if (isGone) return undefined;
    throw error;
  }
}
