import { idOf } from '../src/type-id.ts';
import { createSubject, toJob } from './compare-servers.ts';
import type { Wire } from './load/job.ts';
import { measuredCells, measuredHead, type Report, ratioAim } from './report.ts';
import { alternate, type Measured, type Plan } from './rounds.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

const eventsRead = 20_000;

/** RetrieveEvent of random events: the service against an RPC that does nothing. */
export async function benchRetrieve(stage: Stage, plan: Plan): Promise<Report> {
  const eventIds = await makeEvents(stage);
  const compare = (wire: Wire) =>
    alternate(
      plan,
      (['no-op', 'service'] as const).map((name) =>
        createSubject(stage, name, { rpc: 'RetrieveEvent', wire, eventIds }),
      ),
    );
  const json = await compare('connect json');
  const grpc = await compare('grpc');
  return {
    title: `RetrieveEvent, random ids of ${eventsRead.toLocaleString('en-US')} events, 64 in flight`,
    table: [
      ['', ...measuredHead, 'rate to no-op'],
      ...rows('Connect JSON', json),
      ...rows('gRPC', grpc),
    ],
    aims: [
      ratioAim('retrieve to no-op, Connect JSON', toNoOp(json, 'service'), 0.85),
      ratioAim('retrieve to no-op, gRPC', toNoOp(grpc, 'service'), 0.85),
    ],
  };
}

/** Creates events by way of the service, and returns their ids. */
async function makeEvents(stage: Stage): Promise<string[]> {
  const { port } = await stage.server('service');
  const calls = { rpc: 'CreateEvent', wire: 'grpc', workspaceIds } as const;
  await stage.load.run(toJob(stage, port, calls, { msMax: 60_000, callsMax: eventsRead }));
  const text = 'select id from events order by id desc limit $1::int';
  const rows = await stage.database.statements.run<{ id: string }>(
    { name: 'bench_ids', text },
    [eventsRead],
    10_000,
  );
  return rows.map(({ id }) => idOf('evt', id));
}

function rows(wire: string, measured: Map<string, Measured>): string[][] {
  return [...measured].map(([name, one]) => [
    `${wire}: ${name}`,
    ...measuredCells(one),
    toNoOp(measured, name).toFixed(2),
  ]);
}

function toNoOp(measured: Map<string, Measured>, name: string): number {
  const rate = (of: string) => measured.get(of)?.perSecond ?? Number.NaN;
  return rate(name) / rate('no-op');
}
