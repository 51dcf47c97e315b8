import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { createEventLogStore, createEventStore } from '../../src/events/index.ts';
import { idOf } from '../../src/type-id.ts';
import { type FilledLog, fillLog } from '../filled/filled-log.ts';
import { openPartitionedDatabase } from '../filled/partitioned-database.ts';
import { formatCount, formatReport, type Report } from '../report.ts';
import { type Case, casesOf } from './cases.ts';
import { type Explained, explain } from './explain.ts';
import { createRecorder } from './record.ts';

const events = Number(process.env.BENCH_PLANS_EVENTS ?? 10_000_000);
/** Of a month each, or a quarter: six years of quarters, and the most there may be. */
const partitionCounts = [24, 120] as const;
const pageMsMax = 10;
const plansFile = join(import.meta.dirname, '../plans.md');

interface Page {
  readonly name: string;
  /** The statements, in the order in which the page takes them. */
  readonly steps: readonly (Explained & { readonly name: string })[];
}

/**
 * The plans of every statement that reads events, in ten million of them over many partitions, and the time that
 * PostgreSQL takes for a page of 500. Fills 6 GB of disk and takes a quarter of an hour; writes plans.md.
 */
export async function benchPlans(): Promise<Report> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'harbor-plans-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({
    directory,
    database: 'harbor',
    // Only the fill writes, and nobody needs what it wrote tomorrow; all other settings are the defaults.
    settings: { fsync: 'off', max_wal_size: '4GB' },
  });
  cleanup.defer(() => postgres.stop());
  const columns: Page[][] = [];
  for (const partitions of partitionCounts) {
    columns.push(await explainAll(postgres.url, partitions));
  }
  return writePlans(columns);
}

/** @param columns one for each count of partitions */
export async function writePlans(columns: readonly (readonly Page[])[]): Promise<Report> {
  const report = toReport(columns);
  const summary = formatReport(report).replace('###', '#');
  const written = `\nWritten by \`npm run bench -- plans\`. The plans of ${partitionCounts.at(-1)} partitions:\n\n`;
  const plans = (columns.at(-1) ?? []).map(describePlans).join('\n');
  await writeFile(plansFile, `${summary}${written}${plans}`);
  return report;
}

async function explainAll(serverUrl: string, partitions: number): Promise<Page[]> {
  await using partitioned = await openPartitionedDatabase(serverUrl, partitions);
  const filler = new pg.Client(partitioned.url);
  await filler.connect();
  const filled = await fillLog(filler, { events, ...partitioned.span }, (count) => {
    process.stderr.write(`plans: ${formatCount(count)} events in ${partitions} partitions\n`);
  });
  await filler.end();
  // With the settings that the service's sessions have.
  const client = await partitioned.database.connect();
  try {
    return await explainCases(client, filled);
  } finally {
    client.release();
  }
}

export async function explainCases(client: pg.ClientBase, filled: FilledLog): Promise<Page[]> {
  await client.query('set statement_timeout = 0');
  const pages: Page[] = [];
  for (const one of casesOf(filled, await sampleIds(client))) {
    pages.push(await explainPage(client, one));
  }
  return pages;
}

/** Of all times, in no order. */
async function sampleIds(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    'select id from events tablesample system (0.1) order by random() limit 64',
  );
  return rows.map(({ id }) => idOf('evt', id));
}

async function explainPage(client: pg.ClientBase, { name, ask }: Case): Promise<Page> {
  const recorder = createRecorder(client);
  const log = createEventLogStore(recorder);
  // Known for a minute, as in a service that runs.
  await log.readPartitionStarts();
  recorder.steps.length = 0;
  await ask({ log, events: createEventStore(recorder) });
  const steps = [];
  for (const step of recorder.steps) {
    steps.push({ name: step.statement.name, ...(await explain(client, step)) });
  }
  return { name, steps };
}

function toReport(columns: readonly (readonly Page[])[]): Report {
  const [first = []] = columns;
  const rows = first.map(({ name }, row) =>
    columns.map((pages) => pages[row] ?? { name, steps: [] }),
  );
  const heads = partitionCounts.flatMap((count) => [
    `statements, ${count} partitions`,
    'buffers',
    'database ms',
  ]);
  return {
    title: `Plans: ${formatCount(events)} events over partitions, pages of 500, caches warm`,
    table: [
      ['', ...heads],
      ...rows.map((pages) => [
        pages[0]?.name ?? '',
        ...pages.flatMap((page) => [
          `${page.steps.length}`,
          formatCount(sum(page, 'buffers')),
          sum(page, 'ms').toFixed(1),
        ]),
      ]),
    ],
    aims: rows.flatMap((pages) =>
      pages.map((page, column) => ({
        what: `database ms, ${partitionCounts[column]} partitions: ${page.name}`,
        measured: sum(page, 'ms').toFixed(1),
        aim: `≤ ${pageMsMax}`,
        met: sum(page, 'ms') <= pageMsMax,
      })),
    ),
    notes: [
      'Half of the events are of the workspace that is read, the others of 63 more, in between. Times are the shortest of 15 ' +
        'runs of each statement, as the service prepares it, together.',
    ],
  };
}

function sum({ steps }: Page, what: 'ms' | 'buffers'): number {
  return steps.reduce((total, step) => total + step[what], 0);
}

function describePlans({ name, steps }: Page): string {
  const plans = steps.map(
    (step) => `${step.name}, ${step.ms.toFixed(1)} ms:\n\n\`\`\`\n${step.plan}\n\`\`\`\n`,
  );
  return `## ${name}\n\n${plans.join('\n')}`;
}
