import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { benchAppendParts } from './append-parts.ts';
import { benchCalls } from './calls.ts';
import { benchCreate } from './create.ts';
import { benchGrowth } from './growth/growth.ts';
import { benchIndexes } from './growth/indexes.ts';
import { benchKeyFlood } from './key-flood/key-flood.ts';
import { benchLog } from './log/log.ts';
import { benchMemory } from './memory.ts';
import { benchMetrics } from './metrics.ts';
import { benchNeighbours } from './neighbours.ts';
import { benchPages } from './pages.ts';
import { benchPartitions } from './partitions.ts';
import { benchPgbench } from './pgbench.ts';
import { benchPlans } from './plans/plans.ts';
import { formatAims, formatReport, type Report } from './report.ts';
import { benchRetention } from './retention.ts';
import { benchRetrieve } from './retrieve.ts';
import type { Plan } from './rounds.ts';
import { benchSmallHeap } from './small-heap.ts';
import { openStage, type Stage } from './stage.ts';
import { benchTracing } from './tracing.ts';
import { benchWebhookFaults } from './webhooks/faults.ts';
import { benchWebhooks } from './webhooks/webhooks.ts';

type Bench = (stage: Stage, plan: Plan) => Promise<Report>;

/** Each measures one thing and can be run by its name; without names all run, in this order. */
const usual: Record<string, Bench> = {
  calls: benchCalls,
  create: benchCreate,
  pages: benchPages,
  pgbench: benchPgbench,
  partitions: benchPartitions,
  retrieve: benchRetrieve,
  neighbours: benchNeighbours,
  memory: benchMemory,
  'small-heap': benchSmallHeap,
  metrics: benchMetrics,
  keys: benchKeyFlood,
  log: benchLog,
  webhooks: benchWebhooks,
  retention: benchRetention,
  tracing: benchTracing,
};
/** `plans`, `growth` and `indexes` take 6 GB of disk, `webhooks-faults` minutes: they run when they are asked for. */
const benches: Record<string, Bench> = {
  ...usual,
  plans: benchPlans,
  'append-parts': benchAppendParts,
  growth: benchGrowth,
  indexes: benchIndexes,
  'webhooks-faults': benchWebhookFaults,
};

const usage = `usage: node bench/main.ts [--rounds n] [--seconds n] [${Object.keys(benches).join('|')}]…`;

async function main(): Promise<void> {
  const { names, plan } = readArguments();
  await using stage = await openStage();
  endOnSignal(stage);
  process.stdout.write(`${await describeMachine(stage, plan)}\n`);
  const aims = [];
  for (const name of names) {
    process.stderr.write(`${name} …\n`);
    const report = await benches[name]?.(stage, plan);
    if (report === undefined) continue;
    process.stdout.write(`\n${formatReport(report)}`);
    aims.push(...report.aims);
  }
  if (aims.length > 0) process.stdout.write(`\n${formatAims(aims)}`);
}

function readArguments(): { names: string[]; plan: Plan } {
  const { values, positionals } = parseArgs({
    options: {
      rounds: { type: 'string', default: '6' },
      seconds: { type: 'string', default: '2' },
    },
    allowPositionals: true,
  });
  const rounds = readCount(values.rounds, 20);
  const seconds = readCount(values.seconds, 30);
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
  if (unknown.length > 0 || rounds === undefined || seconds === undefined) throw new Error(usage);
  const names = positionals.length === 0 ? Object.keys(usual) : positionals;
  return { names, plan: { rounds, roundMs: seconds * 1000 } };
}

function readCount(text: string, max: number): number | undefined {
  const count = Number(text);
  return Number.isInteger(count) && count >= 1 && count <= max ? count : undefined;
}

async function describeMachine(stage: Stage, plan: Plan): Promise<string> {
  const [facts] = await stage.database.statements.run<Record<string, string>>(
    {
      name: 'bench_facts',
      text: `select current_setting('server_version') as version, current_setting('fsync') as fsync,
        current_setting('synchronous_commit') as synchronous_commit`,
    },
    [],
    10_000,
  );
  const processors = cpus();
  const gigabytes = Math.round(totalmem() / 1024 ** 3);
  return (
    `${processors.length} × ${processors[0]?.model ?? 'unknown processor'}, ${gigabytes} GB, ` +
    `${process.platform}; Node.js ${process.versions.node}; PostgreSQL ${facts?.version} with ` +
    `fsync=${facts?.fsync}, synchronous_commit=${facts?.synchronous_commit}; medians of ` +
    `${plan.rounds} rounds of ${plan.roundMs / 1000} s. Load, servers and PostgreSQL share the machine: ` +
    'compare ratios.'
  );
}

/** Ends what was started, then the process; the bench under way fails meanwhile, and says so. */
function endOnSignal(stage: Stage): void {
  const onSignal = () => {
    process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM');
    stage[Symbol.asyncDispose]().then(() => process.exit(130));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
}

await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
