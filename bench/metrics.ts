import { createSubject } from './compare-servers.ts';
import { measuredCells, measuredHead, type Report } from './report.ts';
import { cpuRatio, measureInTurn, mediansOf, type Plan } from './rounds.ts';
import type { ServerName } from './server-process.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

const plain: ServerName = 'service, a fresh process';
const servers: readonly ServerName[] = [
  plain,
  // What it differs from itself by. A process that other parts have called for minutes would differ more.
  'service, another fresh process',
  'service with metrics',
  'service that logs errors',
];
/** Of the server's CPU for a create. */
const costMost = 1.02;

/** What watching the service costs a create: its metrics, and the line that the log has of each call. */
export async function benchMetrics(stage: Stage, plan: Plan): Promise<Report> {
  const rounds = await measureInTurn(
    plan,
    servers.map((server) =>
      createSubject(stage, server, { rpc: 'CreateEvent', wire: 'grpc', workspaceIds }),
    ),
  );
  const measured = mediansOf(rounds);
  const ratio = (server: ServerName) => cpuRatio(rounds, server, plain);
  const withMetrics = ratio('service with metrics');
  return {
    title: 'CreateEvent by gRPC with metrics, and without a line of the log a call, 64 in flight',
    table: [
      ['', ...measuredHead, 'CPU to service'],
      ...servers.flatMap((server) => {
        const one = measured.get(server);
        return one === undefined ? [] : [[server, ...measuredCells(one), ratio(server).toFixed(3)]];
      }),
    ],
    aims: [
      {
        what: 'CPU of a create with metrics to one without',
        measured: withMetrics.toFixed(3),
        aim: `≤ ${costMost}`,
        met: withMetrics <= costMost,
      },
    ],
  };
}
