/** What time it is for the database, as far as this process knows: the time in the ids that it makes. */
export interface DatabaseClock {
  /** Milliseconds since 1970; by the machine's clock until it has been set. */
  nowMs(): number;
  /** What the database said, between two moments of `performance.now()`. */
  set(databaseMs: number, askedAtMs: number, heardAtMs: number): void;
}

/** Goes on by the time that passes here, whoever sets the machine's clock meanwhile. */
export function createDatabaseClock(): DatabaseClock {
  let zeroMs = Date.now() - performance.now();
  return {
    nowMs: () => zeroMs + performance.now(),
    set(databaseMs, askedAtMs, heardAtMs) {
      zeroMs = databaseMs - (askedAtMs + heardAtMs) / 2;
    },
  };
}
