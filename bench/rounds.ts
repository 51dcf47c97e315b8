/** How often and how long each subject of a comparison is measured. */
export interface Plan {
  readonly rounds: number;
  readonly roundMs: number;
}

/** One of the things that a comparison compares. */
export interface Subject {
  readonly name: string;
  measure(ms: number): Promise<Measured>;
}

export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of the server a call, where the platform tells it. */
  readonly serverCpuUs: number | undefined;
}

/** Enough calls for the optimising compiler of server and load, and for PostgreSQL's caches. */
const warmUpMs = 2_000;

/**
 * Measures the subjects in turn, A B C, A B C, …, so that whatever else the machine does falls on all of
 * them, and returns the median of each figure by subject.
 */
export async function alternate(
  plan: Plan,
  subjects: readonly Subject[],
): Promise<Map<string, Measured>> {
  for (const subject of subjects) await subject.measure(warmUpMs);
  const rounds = new Map<string, Measured[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < plan.rounds; round++) {
    for (const { name, measure } of subjects) rounds.get(name)?.push(await measure(plan.roundMs));
  }
  return new Map([...rounds].map(([name, measured]) => [name, medians(measured)]));
}

function medians(rounds: readonly Measured[]): Measured {
  const cpu = rounds.map(({ serverCpuUs }) => serverCpuUs).filter((us) => us !== undefined);
  return {
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
    serverCpuUs: cpu.length === 0 ? undefined : median(cpu),
  };
}

/** The middle value; of an even number of them, the lower of the two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
}
