import type { Database } from '../src/database/database.ts';
import { type DirectAppend, measureAppend } from './direct-append.ts';
import { openPartitionedDatabase } from './filled/partitioned-database.ts';
import type { Report } from './report.ts';
import { alternate, type Plan, type Subject } from './rounds.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

/** As the queue makes them: of a service that is hardly busy, of a busy one, and of a flood. */
const batchSizes = [1, 8, 25, 200] as const;
const partitions = 24;

/** What an append does, and the same without one of its parts. */
const variants: readonly (Omit<DirectAppend, 'batchSize'> & { name: string; change?: string })[] = [
  { name: 'all of it' },
  { name: 'without idempotency keys', hasKeys: false },
  { name: 'without the index by type', change: 'drop index events_type_index' },
  { name: 'without a subject and its index', hasSubjects: false },
  { name: 'with one counter instead of many', workspaces: 1 },
  {
    name: 'without waiting for the disk',
    change: `do $$ begin
      execute format('alter database %I set synchronous_commit = off', current_database());
    end $$`,
  },
];

/** What each part of an append costs PostgreSQL, by the size of the batch. */
export async function benchAppendParts(stage: Stage, plan: Plan): Promise<Report> {
  await using cleanup = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const [index, { name, change, ...append }] of variants.entries()) {
    const opened = await openPartitionedDatabase(stage.databaseUrl, partitions, `parts_${index}`);
    const { database } = cleanup.use(opened);
    await prepare(database, change);
    for (const batchSize of batchSizes) {
      const measure = (ms: number) => measureAppend(database, ms, { ...append, batchSize });
      subjects.push({ name: `${name} ${batchSize}`, measure });
    }
  }
  const measured = await alternate(plan, subjects);
  const cell = (name: string) => measured.get(name)?.serverCpuUs?.toFixed(1) ?? '–';
  return {
    title: 'The append by its parts: CPU µs of PostgreSQL an event',
    table: [
      ['', ...batchSizes.map((size) => (size === 1 ? 'one event' : `batches of ${size}`))],
      ...variants.map(({ name }) => [name, ...batchSizes.map((size) => cell(`${name} ${size}`))]),
    ],
    aims: [],
    notes: [`${workspaceIds.length} workspaces, ${partitions} partitions, two batches at once.`],
  };
}

async function prepare(database: Database, change: string | undefined): Promise<void> {
  const client = await database.connect();
  if (change !== undefined) await client.query(change);
  await client.query({
    text: `insert into workspaces (id, display_name, created_at)
      select id, '', now() from unnest($1::text[]) as id`,
    values: [workspaceIds],
  });
  client.release();
}
