import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientBase } from 'pg';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { idOf } from '../../src/type-id.ts';
import { type FilledLog, fillLog } from '../filled/filled-log.ts';
import { openPartitionedDatabase } from '../filled/partitioned-database.ts';
import { type Aim, formatCount, type Report } from '../report.ts';
import { median, type Plan } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { type Meter, openMeter } from './measure.ts';
import { type Operation, operationsOn } from './operations.ts';
import { describeSizes, readSizes } from './sizes.ts';

const partitions = 24;
const sizes = (process.env.BENCH_GROWTH_SIZES ?? '100000,1000000,10000000').split(',').map(Number);
/** From one size to the next, where both are at least a million: below, B-trees are lower. */
const growthMax = 1.2;
const steadyFrom = 1_000_000;

/** A log of some size, and what costs are measured by. */
export interface GrownLog {
  readonly events: number;
  readonly operations: readonly Operation[];
  readonly meter: Meter;
}

interface Measured {
  readonly name: string;
  /** One of each size. */
  readonly buffers: readonly number[];
  /** Medians; undefined where they cannot be told. */
  readonly cpuUs: readonly (number | undefined)[];
}

/**
 * What reads and writes cost PostgreSQL as the log grows, over 24 partitions: they are to cost the same. Fills 6 GB of
 * disk and takes a quarter of an hour.
 */
export async function benchGrowth(_: Stage, { rounds }: Plan): Promise<Report> {
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
  const logs: GrownLog[] = [];
  let notes: string[] = [];
  for (const events of sizes) {
    const partitioned = cleanup.use(
      await openPartitionedDatabase(postgres.url, partitions, `growth_${events}`),
    );
    const filler = new pg.Client(partitioned.url);
    await filler.connect();
    const filled = await fillLog(filler, { events, ...partitioned.span }, (count) => {
      if (count % 1_000_000 === 0) process.stderr.write(`growth: ${formatCount(count)} events\n`);
    });
    notes = describeSizes(await readSizes(filler, events));
    await filler.end();
    const client = await partitioned.database.connect();
    cleanup.defer(() => client.release());
    logs.push(await openGrownLog(client, events, filled));
  }
  return await compareGrowth(logs, rounds, notes);
}

export async function openGrownLog(
  client: ClientBase,
  events: number,
  filled: FilledLog,
): Promise<GrownLog> {
  const { rows } = await client.query<{ id: string }>(
    'select id from events tablesample system ($1) order by random() limit 2000',
    [Math.min(100, (100 * 8_000) / events)],
  );
  const ids = rows.map(({ id }) => idOf('evt', id));
  return { events, operations: operationsOn(filled, ids), meter: await openMeter(client) };
}

/** Measures the logs in turns, small, large, small, large, so that whatever else the machine does falls on all of them. */
export async function compareGrowth(
  logs: readonly GrownLog[],
  rounds: number,
  notes: readonly string[],
): Promise<Report> {
  const measured: Measured[] = [];
  for (const [index, { name }] of (logs[0]?.operations ?? []).entries()) {
    process.stderr.write(`growth: ${name}\n`);
    const costs = logs.map(({ operations, meter }) => ({
      operation: operations[index] as Operation,
      meter,
      cpuUs: [] as (number | undefined)[],
    }));
    const buffers = [];
    for (const { meter, operation } of costs) buffers.push(await meter.buffers(operation));
    for (let round = 0; round < rounds; round++) {
      for (const { meter, operation, cpuUs } of costs) cpuUs.push(await meter.cpuUs(operation));
    }
    measured.push({ name, buffers, cpuUs: costs.map(({ cpuUs }) => medianOfKnown(cpuUs)) });
  }
  return toReport(
    logs.map(({ events }) => events),
    measured,
    notes,
  );
}

function medianOfKnown(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : median(known);
}

function toReport(
  events: readonly number[],
  rows: readonly Measured[],
  notes: readonly string[],
): Report {
  const steady = events.filter((count) => count < steadyFrom).length;
  const growthOf = (values: readonly (number | undefined)[]) =>
    values.slice(steady + 1).map((value, index) => ratio(values[steady + index], value));
  return {
    title: `Growth: what PostgreSQL does for one operation, over ${partitions} partitions`,
    table: [
      [
        '',
        ...events.map((count) => `buffers, ${formatCount(count)} events`),
        'growth',
        ...events.map((count) => `CPU µs, ${formatCount(count)} events`),
        'growth',
      ],
      ...rows.map(({ name, buffers, cpuUs }) => [
        name,
        ...buffers.map((value) => value.toFixed(value < 100 ? 1 : 0)),
        growthOf(buffers).map(formatRatio).join(', '),
        ...cpuUs.map((value) => value?.toFixed(0) ?? '–'),
        growthOf(cpuUs).map(formatRatio).join(', '),
      ]),
    ],
    aims: rows.flatMap(({ name, buffers, cpuUs }) => [
      ...growthAims(`buffers: ${name}`, growthOf(buffers)),
      ...growthAims(`CPU: ${name}`, growthOf(cpuUs)),
    ]),
    notes: ['Growth is that from a million events on, from each size to the next.', ...notes],
  };
}

function ratio(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after / before;
}

function formatRatio(value: number | undefined): string {
  return value?.toFixed(2) ?? '–';
}

/** None where nothing grew. */
function growthAims(what: string, growths: readonly (number | undefined)[]): Aim[] {
  const known = growths.filter((growth) => growth !== undefined);
  if (known.length === 0) return [];
  const most = Math.max(...known);
  const measured = most.toFixed(2);
  return [{ what: `growth, ${what}`, measured, aim: `≤ ${growthMax}`, met: most <= growthMax }];
}
