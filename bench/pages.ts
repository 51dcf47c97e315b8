import { createSubject, toJob } from './compare-servers.ts';
import { measuredCells, measuredHead, type Report, ratioCostAim } from './report.ts';
import { alternate, type Plan } from './rounds.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

const pageSize = 500;
const batchEvents = 500;

/** Pages by Connect JSON: payloads passed on as they are stored, against payloads that are parsed and written again. */
export async function benchPages(stage: Stage, plan: Plan): Promise<Report> {
  const workspaceId = workspaceIds[0] as string;
  await fill(stage, workspaceId);
  const measured = await alternate(
    plan,
    (['service', 'pages of messages'] as const).map((name) =>
      createSubject(stage, name, {
        rpc: 'ListEvents',
        wire: 'connect json',
        workspaceId,
        pageSize,
      }),
    ),
  );
  const cpuUs = (name: string) => measured.get(name)?.serverCpuUs ?? Number.NaN;
  const ratio = cpuUs('service') / cpuUs('pages of messages');
  return {
    title: `ListEvents, pages of ${pageSize}, Connect JSON, 64 in flight`,
    table: [
      ['', ...measuredHead],
      ...[...measured].map(([name, one]) => [name, ...measuredCells(one)]),
    ],
    aims: [ratioCostAim('a page of stored texts to one of messages, CPU', ratio, 0.5)],
  };
}

async function fill(stage: Stage, workspaceId: string): Promise<void> {
  const { port } = await stage.server('service');
  const wire = 'grpc';
  const calls = {
    rpc: 'BatchCreateEvents',
    wire,
    workspaceIds: [workspaceId],
    batchEvents,
  } as const;
  await stage.load.run(toJob(stage, port, calls, { msMax: 30_000, callsMax: 2 }));
}
