import type { Target } from './target.ts';

/** How fast endpoints answer. */
export interface Pace {
  /** A request was answered well, after so many milliseconds. */
  note(target: Target, durationMs: number): void;
  /**
   * How many deliveries are to be taken at once for each request that may be on its way to an endpoint: as many as will
   * be sent in a moment, so that a fast one never waits for the next window and a slow one holds nothing that others need.
   */
  depthOf(target: Target): number;
}

/** For how long a window is to last. */
const windowMs = 100;
/** Of one window. */
const deliveriesMax = 500;
/** What the last request weighs. */
const weight = 0.1;

export function createPace(): Pace {
  const durations = new WeakMap<Target, number>();
  return {
    note(target, durationMs) {
      const before = durations.get(target) ?? durationMs;
      durations.set(target, before + weight * (durationMs - before));
    },

    depthOf(target) {
      const durationMs = durations.get(target);
      if (durationMs === undefined || target.ordering !== 'none') return 1;
      const most = Math.floor(deliveriesMax / target.maxInFlight);
      return Math.max(1, Math.min(most, Math.round(windowMs / Math.max(1, durationMs))));
    },
  };
}
