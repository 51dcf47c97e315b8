import { createSubject } from './compare-servers.ts';
import type { Wire } from './load/job.ts';
import { type Aim, measuredCells, measuredHead, type Report, ratioAim } from './report.ts';
import { alternate, type Measured, type Plan } from './rounds.ts';
import type { ServerName } from './server-process.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

/** Neighbours in time are those whose ratios are aims. */
const servers = ['no-op', 'service', 'transaction per create'] as const;

/** CreateEvent, each call with a key of its own: the service against an RPC that does nothing, and ungathered. */
export async function benchCreate(stage: Stage, plan: Plan): Promise<Report> {
  const written = await createWriteCount(stage);
  const compare = (wire: Wire, into: readonly string[], names: readonly ServerName[]) =>
    alternate(
      plan,
      names.map((name) =>
        createSubject(stage, name, { rpc: 'CreateEvent', wire, workspaceIds: into }, written.add),
      ),
    );
  const json = await compare('connect json', workspaceIds, [...servers, 'statement per create']);
  const grpc = await compare('grpc', workspaceIds, servers);
  // No more than these two: without gathering, one counter's lock is held over a commit at a time.
  const alone = await compare('connect json', workspaceIds.slice(0, 1), ['no-op', 'service']);
  await written.check();
  return {
    title: 'CreateEvent, durable, an idempotency key a call, 64 in flight',
    table: [
      ['', ...measuredHead, 'rate to no-op'],
      ...rows('Connect JSON', json),
      ...rows('gRPC', grpc),
      ...rows('Connect JSON, one workspace', alone),
    ],
    aims: [...aims('Connect JSON', json), ...aims('gRPC', grpc)],
    notes: [
      'transaction: begin, claim, count, insert, commit; statement: the append of one row. ' +
        `All ${written.total.toLocaleString('en-US')} creates that were answered are in the database.`,
    ],
  };
}

function rows(wire: string, measured: Map<string, Measured>): string[][] {
  return [...measured].map(([name, one]) => [
    `${wire}: ${name}`,
    ...measuredCells(one),
    ratio(measured, name, 'no-op').toFixed(2),
  ]);
}

function aims(wire: string, measured: Map<string, Measured>): Aim[] {
  const toNoOp = ratio(measured, 'service', 'no-op');
  const toTransaction = ratio(measured, 'service', 'transaction per create');
  return [
    ratioAim(`create to no-op, ${wire}`, toNoOp, 0.85),
    ratioAim(`create to a transaction per create, ${wire}`, toTransaction, 1.8),
  ];
}

function ratio(measured: Map<string, Measured>, a: string, b: string): number {
  return (measured.get(a)?.perSecond ?? Number.NaN) / (measured.get(b)?.perSecond ?? Number.NaN);
}

/** Counts the creates that were answered, to hold them against the rows there are. */
async function createWriteCount(stage: Stage) {
  const count = async () => {
    const text = 'select count(*)::float8 as count from events';
    const [row] = await stage.database.statements.run<{ count: number }>(
      { name: 'bench_count', text },
      [],
      10_000,
    );
    return row?.count ?? 0;
  };
  const before = await count();
  let total = 0;
  return {
    get total() {
      return total;
    },
    add(name: ServerName, answered: number) {
      if (name !== 'no-op') total += answered;
    },
    async check() {
      const rows = (await count()) - before;
      if (rows !== total) throw new Error(`${total} creates were answered, ${rows} are stored`);
    },
  };
}
