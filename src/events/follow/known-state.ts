import { contentAgeMsMax } from '../content-age.ts';
import type { LogState } from '../log/log-place.ts';

/**
 * What was read is given out for so long, whatever was erased meanwhile: in a storm of erasures readers go on. Later it
 * must be known that nothing of it was erased.
 */
const givenOutMs = 1_000;

/** Content of a log as it was read; it changes where some of it is erased. */
export interface ContentRead {
  /** It must not be given out any more. */
  readonly isOutdated: boolean;
}

/**
 * What a process knows of the floor and the revision of a log, and since when. An erasure raises the revision; a process
 * that cannot ask PostgreSQL about it soon believes nothing that it holds.
 */
export class KnownState {
  #firstSequence: number;
  #revision: number;
  #askedAtMs: number;
  /** What was read under the revision that is known, and held against it ever since. */
  content: ContentRead;

  constructor(state: LogState) {
    const { firstSequence, revision, askedAtMs } = state;
    this.#firstSequence = firstSequence;
    this.#revision = revision;
    this.#askedAtMs = askedAtMs;
    this.content = this.contentOf(state);
  }

  get firstSequence(): number {
    return this.#firstSequence;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Notes what was read, which may be older than what is known. */
  learn(state: LogState): void {
    const { firstSequence, revision, askedAtMs } = state;
    this.#firstSequence = Math.max(this.#firstSequence, firstSequence);
    if (revision < this.#revision) return;
    this.#askedAtMs = revision > this.#revision ? askedAtMs : Math.max(this.#askedAtMs, askedAtMs);
    if (revision === this.#revision) return;
    this.#revision = revision;
    this.content = this.contentOf(state);
  }

  /** What was read in a state. */
  contentOf({ revision, askedAtMs }: LogState): ContentRead {
    const isBelieved = (now: number) =>
      revision === this.#revision && now - this.#askedAtMs <= contentAgeMsMax;
    return {
      get isOutdated() {
        const now = performance.now();
        return now - askedAtMs > givenOutMs && !isBelieved(now);
      },
    };
  }
}
