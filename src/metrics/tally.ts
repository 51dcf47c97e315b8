import prometheus from 'prom-client';

/** What a counter counts by: its labels, and how often so far. */
export interface Tally {
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
}

export interface TallyOptions {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  /** All that was counted so far. */
  readonly read: () => Iterable<Tally>;
}

/**
 * A counter that is kept elsewhere, in plain numbers, and read when it is asked for: to raise one of the library's own by
 * labels costs 0.2 µs each time.
 */
export function showTally(
  registry: prometheus.Registry,
  { name, help, labels = [], read }: TallyOptions,
): void {
  new prometheus.Counter({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    collect() {
      this.reset();
      for (const tally of read()) this.inc({ ...tally.labels }, tally.count);
    },
  });
}
