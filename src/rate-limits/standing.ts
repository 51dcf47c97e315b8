import type { LimitOwner, MetLimit } from './rate-limit-errors.ts';

/** How a limit stands at a moment. */
export interface Standing {
  readonly owner: LimitOwner;
  readonly limit: MetLimit;
  /** How much of it there is at once. */
  readonly quota: number;
  /** In how many seconds as much comes in; undefined for streams, which come in when others end. */
  readonly windowSeconds: number | undefined;
  /**
   * How much is left, at least 0; undefined where that is nobody's business: of a workspace, which would show what other
   * keys do in it, no more is told than that nothing is left.
   */
  readonly left: number | undefined;
  /** Until all of it is there again, or until anything is where nothing is left; undefined for streams. */
  readonly resetMs: number | undefined;
}

/** What may be told of a limit of which so much is left. */
export function leftToTell(owner: LimitOwner, left: number): number | undefined {
  const told = Math.max(0, left);
  return owner === 'workspace' && told > 0 ? undefined : told;
}
