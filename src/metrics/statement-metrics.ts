import prometheus from 'prom-client';
import type { Watcher } from '../observer.ts';
import { showTally, type Tally } from './tally.ts';

const bucketsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Queries by entity, and what begins and ends transactions. */
const unnamed = 'none';

interface Sums {
  count: number;
  failures: number;
  seconds: number;
}

/**
 * What is asked of PostgreSQL. The names of prepared statements are those of the code, a hundred at the most; the
 * histogram is one for all of them.
 */
export function watchStatements(registry: prometheus.Registry): Watcher {
  const byName = new Map<string, Sums>();

  function show(name: string, help: string, of: keyof Sums): void {
    showTally(registry, { name, help, labels: ['statement'], read: () => tallies(byName, of) });
  }
  show(
    'harbor_database_statements_total',
    'Statements that PostgreSQL has answered, or whose connection was lost',
    'count',
  );
  show(
    'harbor_database_statement_failures_total',
    'Those among them that PostgreSQL has refused, or whose connection was lost',
    'failures',
  );
  show(
    'harbor_database_statement_seconds_total',
    'How long PostgreSQL and the way to it took for them, together',
    'seconds',
  );
  const roundTrips = new prometheus.Histogram({
    name: 'harbor_database_round_trip_seconds',
    help: 'One statement, from when it was sent until its answer was there',
    buckets: bucketsSeconds,
    registers: [registry],
  });

  return {
    statementEnded({ name = unnamed, isFailed, durationMs }) {
      const sums = byName.get(name) ?? { count: 0, failures: 0, seconds: 0 };
      byName.set(name, sums);
      sums.count++;
      sums.seconds += durationMs / 1_000;
      if (isFailed) sums.failures++;
      roundTrips.observe(durationMs / 1_000);
    },
  };
}

function* tallies(byName: ReadonlyMap<string, Sums>, of: keyof Sums): Iterable<Tally> {
  for (const [statement, sums] of byName) yield { labels: { statement }, count: sums[of] };
}
