import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PoolClient } from 'pg';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { type FilledLog, fillLog } from '../filled/filled-log.ts';
import { openPartitionedDatabase } from '../filled/partitioned-database.ts';
import type { Report } from '../report.ts';
import { median, type Plan } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { openMeter } from './measure.ts';
import { appending } from './operations.ts';

const partitions = 24;
const events = 1_000_000;
const shareMax = 1.1;

/** Indexes as they are, or as they were before lists knew subjects and ids. */
const variants = [
  { name: 'type without the id, no subject', subjectEvery: 1, isNarrow: true },
  { name: 'type with the id, no event about anything', subjectEvery: 1_000, isNarrow: false },
  { name: 'type with the id, subject with id and type', subjectEvery: 1, isNarrow: false },
] as const;

const narrow = `
  drop index events_type_index;
  drop index events_subject_index;
  create index events_type_index on events (workspace_id, type, sequence)`;

/** What the indexes that lists are read by cost the append, measured in turns. */
export async function benchIndexes(_: Stage, { rounds }: Plan): Promise<Report> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'harbor-indexes-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({
    directory,
    database: 'harbor',
    settings: { fsync: 'off', max_wal_size: '4GB', autovacuum: 'off' },
  });
  cleanup.defer(() => postgres.stop());
  const subjects = [];
  for (const [index, variant] of variants.entries()) {
    const opened = await openVariant(postgres.url, variant, index);
    cleanup.use(opened);
    const meter = await openMeter(opened.client);
    const operation = appending(opened.filled, variant.subjectEvery);
    subjects.push({ name: variant.name, meter, operation, cpuUs: [] as number[] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { meter, operation, cpuUs } of subjects) {
      cpuUs.push((await meter.cpuUs(operation)) ?? Number.NaN);
    }
  }
  const medians = subjects.map(({ name, cpuUs }) => ({ name, cpuUs: median(cpuUs) }));
  const [before] = medians;
  const ratioOf = (cpuUs: number) => cpuUs / (before?.cpuUs ?? Number.NaN);
  return {
    title: 'Indexes: CPU of PostgreSQL an event of a batch of 200, in turns',
    table: [
      ['indexes', 'CPU µs an event', 'to the first'],
      ...medians.map(({ name, cpuUs }) => [name, cpuUs.toFixed(1), ratioOf(cpuUs).toFixed(2)]),
    ],
    aims: medians.slice(1).map(({ name, cpuUs }) => ({
      what: `append with ${name}`,
      measured: ratioOf(cpuUs).toFixed(2),
      aim: `≤ ${shareMax}`,
      met: ratioOf(cpuUs) <= shareMax,
    })),
  };
}

interface Variant extends AsyncDisposable {
  readonly client: PoolClient;
  readonly filled: FilledLog;
}

async function openVariant(
  serverUrl: string,
  { isNarrow }: (typeof variants)[number],
  number: number,
): Promise<Variant> {
  const partitioned = await openPartitionedDatabase(serverUrl, partitions, `indexes_${number}`);
  const filler = new pg.Client(partitioned.url);
  await filler.connect();
  if (isNarrow) await filler.query(narrow);
  const filled = await fillLog(filler, { events, ...partitioned.span }, () => undefined);
  await filler.end();
  const client = await partitioned.database.connect();
  return {
    client,
    filled,
    async [Symbol.asyncDispose]() {
      client.release();
      await partitioned[Symbol.asyncDispose]();
    },
  };
}
