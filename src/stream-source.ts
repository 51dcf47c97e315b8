/**
 * What a stream has to say, as its reader takes it. Most streams wait most of the time, and there are thousands
 * of them: hence a call that waits, and not a chain of generators.
 */
export interface StreamSource<Item> {
  /**
   * What comes next, as much as is at hand; nothing when the stream has come to its end. One call at a time.
   *
   * @throws the reason of `end`, or why it cannot go on; it is over then.
   */
  next(): Promise<readonly Item[]>;
  /** Makes it over: `next` throws the reason, at once where it waits. */
  end(reason: unknown): void;
  /** For whoever still has something at hand when the stream is to end. */
  throwIfEnded(): void;
  /** What `next` gave last, where that may change: once it is outdated, whoever still has some of it takes it back. */
  readonly given?: Given | undefined;
  /** What `next` gave after an item, or all of it, comes once more, as it is then. */
  takeBack?(last: Item | undefined): void;
  /** Disposed of at the end, whatever that was: leaves what the stream follows, and does what else was put on it. */
  readonly closing: DisposableStack;
}

/** What was given to the reader of a stream. */
export interface Given {
  /** It has changed since, or may have: it must not be given out any more. */
  readonly isOutdated: boolean;
}
