import pg from 'pg';
import { type Database, openDatabase } from '../src/database/database.ts';
import { migrate } from '../src/database/migrate.ts';
import { migrations } from '../src/database/migrations/index.ts';
import { createPartition } from '../src/database/partitions/partition-statements.ts';
import { partitionsFrom } from '../src/database/partitions/period.ts';
import { type PreparedEvent, prepareEvent } from '../src/events/event.ts';
import { createEventStore } from '../src/events/index.ts';
import { readCpuMs } from './process-facts.ts';
import { type Aim, formatCount, type Report } from './report.ts';
import { alternate, type Measured, type Plan, type Subject } from './rounds.ts';
import type { Stage } from './stage.ts';
import { newEvent, workspaceIds } from './workload.ts';

const batchSize = 200;
const flights = 2;

/** What `events` is: a table of its own, or so many partitions, of which the events of now are in one. */
const variants = [
  { name: 'one table, the index of types of before', partitions: 0, indexes: 'before' },
  { name: 'one table, today’s indexes', partitions: 0, indexes: 'today' },
  { name: '24 partitions', partitions: 24, indexes: 'today' },
  { name: '120 partitions', partitions: 120, indexes: 'today' },
] as const;
type Variant = (typeof variants)[number];

/** The service's append called directly, in turns on tables that differ in nothing but their partitions and indexes. */
export async function benchPartitions(stage: Stage, plan: Plan): Promise<Report> {
  await using cleanup = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const variant of variants) {
    const database = await openVariant(stage, variant);
    cleanup.defer(() => database.close());
    subjects.push({ name: variant.name, measure: (ms) => measure(database, ms) });
  }
  const measured = await alternate(plan, subjects);
  const cpuOf = ({ name }: Variant) => measured.get(name)?.serverCpuUs ?? Number.NaN;
  const [before, plain, quarters, months] = variants;
  return {
    title: `The append into partitions, batches of ${batchSize} over ${workspaceIds.length} workspaces`,
    table: [
      ['', 'events a second', 'PostgreSQL’s CPU µs an event', 'p50 ms a batch'],
      ...[...measured].map(([name, one]) => [name, ...cellsOf(one)]),
    ],
    aims: [
      cpuAim(
        'CPU of an append into 24 partitions to one table',
        cpuOf(quarters) / cpuOf(plain),
        1.03,
      ),
      cpuAim('the same, 120 partitions', cpuOf(months) / cpuOf(plain), 1.03),
      cpuAim(
        'CPU of an append with today’s indexes to before',
        cpuOf(quarters) / cpuOf(before),
        1.1,
      ),
    ],
  };
}

function cellsOf({ perSecond, serverCpuUs, p50Ms }: Measured): string[] {
  return [formatCount(perSecond), serverCpuUs?.toFixed(1) ?? '–', p50Ms.toFixed(1)];
}

function cpuAim(what: string, ratio: number, most: number): Aim {
  return { what, measured: ratio.toFixed(2), aim: `≤ ${most}`, met: ratio <= most };
}

async function openVariant(stage: Stage, variant: Variant): Promise<Database> {
  const name = `partitions_${variants.indexOf(variant)}`;
  await stage.database.statements.run(
    { name: `bench_create_${name}`, text: `create database ${name}` },
    [],
    60_000,
  );
  const url = new URL(stage.databaseUrl);
  url.pathname = `/${name}`;
  const options = { poolSize: flights, applicationName: 'harbor-bench', onNotice: () => undefined };
  const database = await openDatabase({ url: url.href, ...options });
  const isPlain = variant.partitions === 0;
  await migrate(database, { migrations: isPlain ? migrations.slice(0, 2) : migrations });
  const client = new pg.Client(url.href);
  await client.connect();
  await client.query(
    `insert into workspaces (id, display_name, created_at) select id, '', now() from unnest($1::text[]) as id`,
    [workspaceIds],
  );
  if (isPlain && variant.indexes === 'today') await client.query(todaysIndexes);
  if (!isPlain) await makePast(client, variant.partitions);
  await client.end();
  return database;
}

const todaysIndexes = `
  drop index events_workspace_id_type_sequence_index;
  create index on events (workspace_id, type, sequence) include (id);
  create index on events (workspace_id, subject, sequence) include (id, type) where subject is not null`;

/** Up to `total` partitions with those of now and to come, of quarters that were. */
async function makePast(client: pg.Client, total: number): Promise<void> {
  const [now] = partitionsFrom('quarter', new Date(), 0);
  const { rows } = await client.query(
    `select from pg_inherits where inhparent = 'events'::regclass`,
  );
  for (let ago = 1; ago <= total - rows.length; ago++) {
    const at = new Date(now?.from ?? 0);
    at.setUTCMonth(at.getUTCMonth() - 3 * ago);
    const [past] = partitionsFrom('quarter', at, 0);
    if (past !== undefined) await createPartition((text) => client.query(text), past);
  }
}

async function measure(database: Database, ms: number): Promise<Measured> {
  const store = createEventStore(database.statements);
  const pids = await findServerPids(database);
  const cpuBefore = cpuMsOf(pids);
  const startedAt = performance.now();
  const times: number[] = [];
  const fly = async () => {
    while (performance.now() - startedAt < ms) {
      const batch = makeBatch();
      const turns = batch.map((_, index) => index);
      const sentAt = performance.now();
      await store.append(batch, turns, { lockMsMax: 5_000, timeoutMs: 10_000 });
      times.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: flights }, fly));
  const seconds = (performance.now() - startedAt) / 1_000;
  const events = times.length * batchSize;
  const cpuAfter = cpuMsOf(pids);
  const sorted = times.toSorted((a, b) => a - b);
  return {
    perSecond: events / seconds,
    p50Ms: sorted[sorted.length >> 1] ?? Number.NaN,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
    serverCpuUs:
      cpuBefore === undefined || cpuAfter === undefined
        ? undefined
        : ((cpuAfter - cpuBefore) * 1_000) / events,
  };
}

let keys = 0;

/** Sorted as the queue sorts them: each workspace has its place in the text of the key as well. */
function makeBatch(): PreparedEvent[] {
  return Array.from({ length: batchSize }, () => {
    const number = keys++;
    return prepareEvent({
      workspaceId: workspaceIds[number % workspaceIds.length] as string,
      ...newEvent,
      subject: `inv_${number % 10_000}`,
      idempotencyKey: `bench ${number}`,
    });
  }).sort((a, b) =>
    `${a.workspaceId} ${a.idempotencyKey}` < `${b.workspaceId} ${b.idempotencyKey}` ? -1 : 1,
  );
}

/** Of the sessions that append, and of all that PostgreSQL does in the background. */
async function findServerPids({ statements }: Database): Promise<number[]> {
  const rows = await statements.run<{ pid: number }>(
    {
      name: 'bench_server_pids',
      text: `select pid from pg_stat_activity where backend_type not like 'autovacuum%'
        and (datname is null or datname = current_database())`,
    },
    [],
    10_000,
  );
  return rows.map(({ pid }) => pid);
}

/** Of those that still run; undefined where it cannot be told. */
function cpuMsOf(pids: readonly number[]): number | undefined {
  const times = pids.map((pid) => readCpuMs(pid));
  return times.some((time) => time === undefined)
    ? undefined
    : times.reduce<number>((sum, time) => sum + (time ?? 0), 0);
}
