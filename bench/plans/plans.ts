import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { createEventLogStore } from '../../src/events/index.ts';
import { formatCount, formatReport, type Report } from '../report.ts';
import { type Case, casesOf } from './cases.ts';
import { type Explained, explain } from './explain.ts';
import { fillWorkspace } from './fill.ts';
import { createRecorder } from './record.ts';

const events = Number(process.env.BENCH_PLANS_EVENTS ?? 10_000_000);
const pageMsMax = 10;
const plansFile = join(import.meta.dirname, '../plans.md');

interface Page {
  readonly name: string;
  /** A row a statement, in the order in which the page takes them. */
  readonly steps: readonly { name: string; auto: Explained; customMs: number; genericMs: number }[];
}

/**
 * The plans of every statement that reads the log, in a workspace of ten million events, and the time
 * that PostgreSQL takes for a page of 500. Fills 5 GB of disk and takes some minutes; writes plans.md.
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
  await migrateDatabase(postgres.url);
  const client = new pg.Client(postgres.url);
  await client.connect();
  cleanup.defer(() => client.end());
  await fillWorkspace(client, events, (filled) => {
    process.stderr.write(`plans: ${formatCount(filled)} events\n`);
  });
  const pages: Page[] = [];
  for (const one of casesOf(events)) pages.push(await explainPage(client, one));
  const report = toReport(pages);
  const summary = formatReport(report).replace('###', '#');
  const written = '\nWritten by `npm run bench -- plans`.\n\n';
  await writeFile(plansFile, `${summary}${written}${pages.map(describePlans).join('\n')}`);
  return report;
}

async function migrateDatabase(url: string): Promise<void> {
  const applicationName = 'harbor-bench-plans';
  const database = await openDatabase({
    url,
    poolSize: 2,
    applicationName,
    onNotice: () => undefined,
  });
  await migrate(database);
  await database.close();
}

async function explainPage(client: pg.Client, asked: Case): Promise<Page> {
  const explained = [];
  const recorder = createRecorder(client);
  await asked.ask(createEventLogStore(recorder));
  for (const step of recorder.steps) {
    const { ms: customMs } = await explain(client, step, 'force_custom_plan');
    const { ms: genericMs } = await explain(client, step, 'force_generic_plan');
    const auto = await explain(client, step, 'auto');
    explained.push({ name: step.statement.name, auto, customMs, genericMs });
  }
  return { name: asked.name, steps: explained };
}

function toReport(pages: readonly Page[]): Report {
  return {
    title: `Plans: ${formatCount(events)} events in one workspace, pages of 500, caches warm`,
    table: [
      ['', 'database ms a page', 'with custom plans', 'with generic plans', 'chosen'],
      ...pages.map((page) => [
        page.name,
        ...[autoMs(page), sum(page, 'customMs'), sum(page, 'genericMs')].map((ms) => ms.toFixed(1)),
        [...new Set(page.steps.map(({ auto }) => (auto.isGeneric ? 'generic' : 'custom')))].join(),
      ]),
    ],
    aims: pages.map((page) => ({
      what: `database ms a page: ${page.name}`,
      measured: autoMs(page).toFixed(1),
      aim: `≤ ${pageMsMax}`,
      met: autoMs(page) <= pageMsMax,
    })),
    notes: [
      'Planning and execution, medians of 7 runs of the statements that the service prepares. ' +
        'Chosen: by PostgreSQL after five runs with plans for the values at hand (custom).',
    ],
  };
}

function autoMs({ steps }: Page): number {
  return steps.reduce((ms, { auto }) => ms + auto.ms, 0);
}

function sum({ steps }: Page, what: 'customMs' | 'genericMs'): number {
  return steps.reduce((ms, step) => ms + step[what], 0);
}

function describePlans({ name, steps }: Page): string {
  const plans = steps.map(
    (step) => `${step.name}, ${step.auto.ms.toFixed(1)} ms:\n\n\`\`\`\n${step.auto.plan}\n\`\`\`\n`,
  );
  return `## ${name}\n\n${plans.join('\n')}`;
}
