/** Why a cursor stands: nothing has room for more, or its endpoint takes nothing now. */
export type StandingFor = 'room' | 'closed';

/** Cursors that are left alone for a while. */
export interface Standing {
  /** For that, or for any reason. */
  isStanding(cursorId: string, why?: StandingFor): boolean;
  /**
   * Leaves a cursor alone for some time; where that is not known, for longer each time.
   *
   * @returns for how many milliseconds.
   */
  stand(cursorId: string, why: StandingFor, waitMs?: number): number;
  /** It goes on, if it stood for that; for any reason unless one is given. Says whether it did. */
  release(cursorId: string, why?: StandingFor): boolean;
}

const waitMs = { first: 1_000, most: 30_000 };

interface Stay {
  readonly why: StandingFor;
  readonly untilMs: number;
  /** The last wait that was not known. */
  readonly lastMs: number;
}

export function createStanding(): Standing {
  const stays = new Map<string, Stay>();
  return {
    isStanding(cursorId, why) {
      const stay = stays.get(cursorId);
      if (stay === undefined || (why !== undefined && stay.why !== why)) return false;
      return stay.untilMs > performance.now();
    },

    stand(cursorId, why, knownMs) {
      const before = stays.get(cursorId)?.lastMs ?? waitMs.first / 2;
      const lastMs = knownMs === undefined ? Math.min(before * 2, waitMs.most) : before;
      const nextMs = knownMs ?? lastMs;
      stays.set(cursorId, { why, untilMs: performance.now() + nextMs, lastMs });
      return nextMs;
    },

    release(cursorId, why) {
      const stay = stays.get(cursorId);
      if (stay === undefined || (why !== undefined && stay.why !== why)) return false;
      return stays.delete(cursorId);
    },
  };
}
