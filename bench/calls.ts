import { createSubject } from './compare-servers.ts';
import type { Wire } from './load/job.ts';
import { measuredCells, measuredHead, type Report, ratioCostAim } from './report.ts';
import { alternate, type Measured, type Plan } from './rounds.ts';
import type { ServerName } from './server-process.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

/** Neighbours in time are those whose ratios are aims. */
const subjects: readonly (readonly [server: ServerName, wire: Wire])[] = [
  ['bare http2', 'connect json'],
  ['no-op', 'connect json'],
  ['no-op', 'grpc'],
  ['service', 'connect json'],
  ['service', 'grpc'],
];

/**
 * What a call costs the server, from the floor up: an echo of Node's own, an RPC that does nothing, and a create; in
 * both protocols, all in one run.
 */
export async function benchCalls(stage: Stage, plan: Plan): Promise<Report> {
  const measured = await alternate(
    plan,
    subjects.map(([server, wire]) => ({
      ...createSubject(stage, server, { rpc: 'CreateEvent', wire, workspaceIds }),
      name: nameOf(server, wire),
    })),
  );
  const cpuUs = (server: ServerName, wire: Wire): number =>
    measured.get(nameOf(server, wire))?.serverCpuUs ?? Number.NaN;
  const json = cpuUs('no-op', 'connect json');
  const grpc = cpuUs('no-op', 'grpc');
  return {
    title: 'What a call costs the server, 64 in flight over HTTP/2',
    table: [['', ...measuredHead, 'CPU to bare http2'], ...rows(measured)],
    aims: [
      ratioCostAim(
        'no-op by Connect JSON to bare http2',
        json / cpuUs('bare http2', 'connect json'),
        1.5,
      ),
      ratioCostAim('no-op by gRPC to Connect JSON', grpc / json, 1.25),
      ratioCostAim('create to no-op, Connect JSON', cpuUs('service', 'connect json') / json, 1.35),
      ratioCostAim('create to no-op, gRPC', cpuUs('service', 'grpc') / grpc, 1.35),
    ],
  };
}

const nameOf = (server: ServerName, wire: Wire) =>
  server === 'bare http2' ? server : `${server}, ${wire}`;

function rows(measured: Map<string, Measured>): string[][] {
  const floor = measured.get('bare http2')?.serverCpuUs ?? Number.NaN;
  return [...measured].map(([name, one]) => [
    name,
    ...measuredCells(one),
    ((one.serverCpuUs ?? Number.NaN) / floor).toFixed(2),
  ]);
}
