import type { Milestones } from './milestones.ts';

/** Somebody who reads the log while it is written, and remembers what came, in the order in which it came. */
export interface Reader {
  readonly name: string;
  /** See `toLine`. */
  readonly lines: readonly string[];
  /** By the highest sequence that came. */
  readonly progress: Milestones;
  /** How often it had to begin anew, for a cut of its own or for a fault. */
  readonly cuts: number;
  /** Resolves when it has ended by `stop`; rejects at what must not happen to a reader. */
  readonly ended: Promise<void>;
  stop(): void;
}
