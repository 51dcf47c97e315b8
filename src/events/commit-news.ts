import type { Event } from './event.ts';

/** Where a commit was heard of: in this process, whose it is, or from another one. */
export type CommitOrigin = 'here' | 'elsewhere';

/**
 * Hears that the log of a workspace has grown to a sequence; a number may come late, or twice. `events` are all that it has
 * grown by, in their order, where they are at hand.
 */
export type CommitListener = (
  workspaceId: string,
  lastSequence: number,
  origin: CommitOrigin,
  events?: readonly Event[],
) => void;

/**
 * Tells whoever works behind the log that there is more of it: feeds, other processes. A message may be
 * lost between processes, so who must miss nothing also looks by itself now and then.
 */
export interface CommitNews {
  /** From now on, until the process ends. */
  listen(listener: CommitListener): void;
  /** Once a commit is on disk; never throws, and never waits. */
  tell: CommitListener;
}

/** @param onError hears of a listener that throws; neither the commit nor the other listeners do. */
export function createCommitNews(onError: (error: unknown) => void): CommitNews {
  const listeners: CommitListener[] = [];
  return {
    listen: (listener) => void listeners.push(listener),
    tell(...news) {
      for (const listener of listeners) {
        try {
          listener(...news);
        } catch (error) {
          onError(error);
        }
      }
    },
  };
}
