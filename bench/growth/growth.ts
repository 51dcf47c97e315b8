import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { idOf } from '../../src/type-id.ts';
import { fillLog } from '../filled/filled-log.ts';
import { openPartitionedDatabase } from '../filled/partitioned-database.ts';
import { formatCount, type Report } from '../report.ts';
import { type Cost, measure } from './measure.ts';
import { operationsOn } from './operations.ts';
import { describeSizes, readSizes } from './sizes.ts';

const partitions = 24;
const sizes = (process.env.BENCH_GROWTH_SIZES ?? '100000,1000000,10000000').split(',').map(Number);
/** From the size before the largest one to that. */
const growthMax = 1.2;

interface Measured {
  readonly name: string;
  readonly costs: readonly Cost[];
}

/**
 * What reads and writes cost PostgreSQL as the log grows, over 24 partitions: they are to cost the same. Fills 5 GB of
 * disk and takes a quarter of an hour.
 */
export async function benchGrowth(): Promise<Report> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'harbor-growth-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({
    directory,
    database: 'harbor',
    // Nobody needs what was written tomorrow, and PostgreSQL's CPU is what is measured.
    settings: { fsync: 'off', max_wal_size: '4GB', autovacuum: 'off' },
  });
  cleanup.defer(() => postgres.stop());
  const measured = new Map<string, Cost[]>();
  let sizeNotes: string[] = [];
  for (const events of sizes) {
    const { costs, notes } = await measureAt(postgres.url, events);
    for (const [name, cost] of costs) measured.set(name, [...(measured.get(name) ?? []), cost]);
    sizeNotes = notes;
  }
  const rows = [...measured].map(([name, costs]) => ({ name, costs }));
  return toReport(rows, sizeNotes);
}

async function measureAt(serverUrl: string, events: number) {
  await using partitioned = await openPartitionedDatabase(serverUrl, partitions);
  const filler = new pg.Client(partitioned.url);
  await filler.connect();
  const filled = await fillLog(filler, { events, ...partitioned.span }, (count) => {
    if (count % 1_000_000 === 0) process.stderr.write(`growth: ${formatCount(count)} events\n`);
  });
  const notes = describeSizes(await readSizes(filler, events));
  await filler.end();
  const client = await partitioned.database.connect();
  try {
    const { rows } = await client.query<{ id: string }>(
      'select id from events tablesample bernoulli ($1) limit 2000',
      [Math.min(100, (100 * 4_000) / events)],
    );
    const ids = rows.map(({ id }) => idOf('evt', id));
    const costs: [string, Cost][] = [];
    for (const operation of operationsOn(filled, ids)) {
      costs.push([operation.name, await measure(client, operation)]);
    }
    return { costs, notes };
  } finally {
    client.release();
  }
}

function toReport(rows: readonly Measured[], notes: readonly string[]): Report {
  return {
    title: `Growth: what PostgreSQL does for one operation, over ${partitions} partitions`,
    table: [
      [
        '',
        ...sizes.map((events) => `buffers, ${formatCount(events)} events`),
        'growth',
        ...sizes.map((events) => `CPU µs, ${formatCount(events)} events`),
        'growth',
      ],
      ...rows.map(({ name, costs }) => [
        name,
        ...costs.map(({ buffers }) => buffers.toFixed(buffers < 100 ? 1 : 0)),
        formatGrowth(costs.map(({ buffers }) => buffers)),
        ...costs.map(({ cpuUs }) => cpuUs?.toFixed(0) ?? '–'),
        formatGrowth(costs.map(({ cpuUs }) => cpuUs)),
      ]),
    ],
    aims: rows.flatMap(({ name, costs }) => [
      growthAim(`buffers: ${name}`, growthOf(costs.map(({ buffers }) => buffers))),
      growthAim(`CPU: ${name}`, growthOf(costs.map(({ cpuUs }) => cpuUs))),
    ]),
    notes: [...notes],
  };
}

/** From the size before the last one to the last. */
function growthOf(values: readonly (number | undefined)[]): number | undefined {
  const [before, last] = values.slice(-2);
  return before === undefined || last === undefined ? undefined : last / before;
}

function formatGrowth(values: readonly (number | undefined)[]): string {
  return growthOf(values)?.toFixed(2) ?? '–';
}

function growthAim(what: string, growth: number | undefined) {
  const met = growth === undefined || growth <= growthMax;
  return {
    what: `growth, ${what}`,
    measured: growth?.toFixed(2) ?? '–',
    aim: `≤ ${growthMax}`,
    met,
  };
}
