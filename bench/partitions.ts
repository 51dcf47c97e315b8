import { type Database, openDatabase } from '../src/database/database.ts';
import { migrate } from '../src/database/migrate.ts';
import { migrations } from '../src/database/migrations/index.ts';
import { flights, measureAppend } from './direct-append.ts';
import { openPartitionedDatabase } from './filled/partitioned-database.ts';
import { type Aim, formatCount, type Report } from './report.ts';
import { alternate, type Measured, type Plan, type Subject } from './rounds.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

const batchSize = 200;

/** What `events` is: a table of its own, or so many partitions, of which the events of now are in one. */
const variants = [
  { name: 'one table', partitions: 0 },
  { name: '24 partitions', partitions: 24 },
  { name: '120 partitions', partitions: 120 },
] as const;
type Variant = (typeof variants)[number];

/** The service's append called directly, in turns on tables that differ in nothing but their partitions. */
export async function benchPartitions(stage: Stage, plan: Plan): Promise<Report> {
  await using cleanup = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const variant of variants) {
    const database = await openVariant(stage, variant, cleanup);
    subjects.push({
      name: variant.name,
      measure: (ms) => measureAppend(database, ms, { batchSize }),
    });
  }
  const measured = await alternate(plan, subjects);
  const cpuOf = ({ name }: Variant) => measured.get(name)?.serverCpuUs ?? Number.NaN;
  const [plain, ...partitioned] = variants;
  return {
    title: `The append into partitions, batches of ${batchSize} over ${workspaceIds.length} workspaces`,
    table: [
      ['', 'events a second', 'PostgreSQL’s CPU µs an event', 'p50 ms a batch'],
      ...[...measured].map(([name, one]) => [name, ...cellsOf(one)]),
    ],
    aims: partitioned.map((one) =>
      cpuAim(`CPU of an append into ${one.name} to one table`, cpuOf(one) / cpuOf(plain)),
    ),
  };
}

function cellsOf({ perSecond, serverCpuUs, p50Ms }: Measured): string[] {
  return [formatCount(perSecond), serverCpuUs?.toFixed(1) ?? '–', p50Ms.toFixed(1)];
}

/** No more, but for what two rounds of the same differ by. */
const cpuRatioMax = 1.03;

function cpuAim(what: string, ratio: number): Aim {
  const met = ratio <= cpuRatioMax;
  return { what, measured: ratio.toFixed(2), aim: `≤ ${cpuRatioMax}`, met };
}

async function openVariant(
  stage: Stage,
  { partitions }: Variant,
  cleanup: AsyncDisposableStack,
): Promise<Database> {
  const database =
    partitions === 0
      ? await openPlain(stage, cleanup)
      : cleanup.use(await openPartitionedDatabase(stage.databaseUrl, partitions)).database;
  const client = await database.connect();
  await client.query({
    text: `insert into workspaces (id, display_name, created_at)
      select id, '', now() from unnest($1::text[]) as id`,
    values: [workspaceIds],
  });
  client.release();
  return database;
}

/** The tables of before partitions, with the indexes of a partition. */
async function openPlain(stage: Stage, cleanup: AsyncDisposableStack): Promise<Database> {
  const admin = await stage.database.connect();
  await admin.query('create database partitions_0');
  admin.release();
  const url = new URL(stage.databaseUrl);
  url.pathname = '/partitions_0';
  const options = { poolSize: flights, applicationName: 'harbor-bench', onNotice: () => undefined };
  const database = await openDatabase({ url: url.href, ...options });
  cleanup.defer(() => database.close());
  await migrate(database, { migrations: migrations.slice(0, 2) });
  const client = await database.connect();
  await client.query(`
    drop index events_workspace_id_type_sequence_index;
    create index on events (workspace_id, type, sequence) include (id);
    create index on events (workspace_id, subject, sequence) include (id, type) where subject is not null`);
  client.release();
  return database;
}
