import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toJob } from './compare-servers.ts';
import { withCpuTime } from './process-facts.ts';
import { measuredCells, measuredHead, type Report } from './report.ts';
import { alternate, type Plan, type Subject } from './rounds.ts';
import type { ServerProcess } from './server-process.ts';
import { measureSpanCost } from './span-cost.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

/** More than any round has time for. */
const callsMax = 1_000_000;

/** CreateEvent over Connect JSON without tracing, and with more and more of it. */
export async function benchTracing(stage: Stage, plan: Plan): Promise<Report> {
  await using taking = await startCollector(true);
  await using hanging = await startCollector(false);
  const byRatio = (ratio: string) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: taking.endpoint,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: ratio,
  });
  const environments: Record<string, Record<string, string>> = {
    off: {},
    'off, another process': {},
    'none of the traces': byRatio('0'),
    '1 % of the traces': byRatio('0.01'),
    'all traces': byRatio('1'),
    'all traces, to a collector that hangs': { OTEL_EXPORTER_OTLP_ENDPOINT: hanging.endpoint },
  };
  const subjects: Subject[] = [];
  for (const [name, env] of Object.entries(environments)) {
    subjects.push(toSubject(stage, name, await stage.freshServer('service', { env })));
  }
  const measured = await alternate(plan, subjects);
  const off = measured.get('off')?.serverCpuUs ?? Number.NaN;
  return {
    title: 'CreateEvent over Connect JSON and what is traced of it, 64 in flight',
    table: [
      ['', ...measuredHead, 'CPU to off'],
      ...[...measured].map(([name, one]) => [
        name,
        ...measuredCells(one),
        ((one.serverCpuUs ?? Number.NaN) / off).toFixed(2),
      ]),
    ],
    aims: [],
    notes: [
      `The collector took ${Math.round(taking.bytes / 1e6)} MB of spans.`,
      '',
      'The spans of a create by themselves, in a process that does nothing else, CPU µs a create: ' +
        `${await spanCosts(taking.endpoint)}.`,
    ],
  };
}

async function spanCosts(endpoint: string): Promise<string> {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
  const ratio = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' };
  const costs = {
    'sampled by its caller': await measureSpanCost(env, '01'),
    'sampled here': await measureSpanCost(env),
    'not sampled by its caller': await measureSpanCost(env, '00'),
    'not sampled here': await measureSpanCost({ ...env, ...ratio }),
  };
  return Object.entries(costs)
    .map(([what, us]) => `${us.toFixed(1)} ${what}`)
    .join(', ');
}

function toSubject(stage: Stage, name: string, { pid, port }: ServerProcess): Subject {
  const calls = { rpc: 'CreateEvent', wire: 'connect json', workspaceIds } as const;
  return {
    name,
    async measure(msMax) {
      const { result, cpuUs } = await withCpuTime(
        pid,
        () => stage.load.run(toJob(stage, port, calls, { msMax, callsMax })),
        ({ answered }) => answered,
      );
      return { ...result, serverCpuUs: cpuUs };
    },
  };
}

/** Reads spans and throws them away; or answers nothing. */
async function startCollector(isAnswering: boolean) {
  let bytes = 0;
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
    });
    if (isAnswering) request.on('end', () => response.writeHead(200).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get bytes() {
      return bytes;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
