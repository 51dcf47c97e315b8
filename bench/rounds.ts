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
const warmUpsMs = [600, 1_400];

/** What each round has measured of each subject, by its name. */
export type Rounds = ReadonlyMap<string, readonly Measured[]>;

/**
 * Measures the subjects in turn, so that whatever else the machine does falls on all of them; another one begins each
 * round, A B C, B C A, …, since who comes first finds caches and a disk as nobody else does.
 */
export async function measureInTurn(plan: Plan, subjects: readonly Subject[]): Promise<Rounds> {
  // Twice, so that the first is warm beside the others, which are started by then.
  for (const ms of warmUpsMs) {
    for (const subject of subjects) await subject.measure(ms);
  }
  const rounds = new Map<string, Measured[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < plan.rounds; round++) {
    const first = round % subjects.length;
    for (const { name, measure } of [...subjects.slice(first), ...subjects.slice(0, first)]) {
      rounds.get(name)?.push(await measure(plan.roundMs));
    }
  }
  return rounds;
}

/** The median of each figure by subject, measured in turn. */
export async function alternate(
  plan: Plan,
  subjects: readonly Subject[],
): Promise<Map<string, Measured>> {
  return mediansOf(await measureInTurn(plan, subjects));
}

export function mediansOf(rounds: Rounds): Map<string, Measured> {
  return new Map([...rounds].map(([name, measured]) => [name, medians(measured)]));
}

/** CPU of one subject to that of another, the median of what it was in each round: both had the same machine then. */
export function cpuRatio(rounds: Rounds, name: string, to: string): number {
  const others = rounds.get(to) ?? [];
  const ratios = (rounds.get(name) ?? []).map(
    ({ serverCpuUs = Number.NaN }, round) =>
      serverCpuUs / (others[round]?.serverCpuUs ?? Number.NaN),
  );
  return median(ratios);
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
