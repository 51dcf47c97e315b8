import { type Aim, formatCount, type Report, ratioAim } from '../report.ts';
import type { Plan } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { callsInFlight } from '../workload.ts';
import { type Bystanders, measureBystanders } from './bystanders.ts';
import { type Deliver, measureDeliver, type Rate } from './deliver.ts';
import { backlogDeliveries, type Drain, measureDrain } from './drain.ts';
import { startHooks } from './hooks.ts';
import { idleEndpoints, idleWorkspaces, measureIdle, type Rest } from './idle.ts';
import { createsPerSecond, type Latency, measureLatency } from './latency.ts';
import { maxInFlight, openPlace } from './place.ts';

interface Measured {
  readonly deliver: Deliver;
  readonly bystanders: Bystanders;
  readonly drain: Drain;
  readonly latency: Latency;
  readonly idle: { readonly without: Rest; readonly withEndpoints: Rest };
}

/** Webhooks: what delivering adds to a create, how fast a backlog goes, and what endpoints at rest cost. */
export async function benchWebhooks(stage: Stage, plan: Plan): Promise<Report> {
  await using creator = startHooks();
  await using receiver = startHooks();
  const place = await openPlace(stage);
  const measured: Measured = {
    deliver: await measureDeliver(place, [creator, receiver], plan),
    bystanders: await measureBystanders(place, creator, plan),
    drain: await measureDrain(place),
    latency: await measureLatency(stage, place),
    idle: await measureIdle(stage, place),
  };
  return {
    title: `Webhooks: ${callsInFlight} HTTP/1.1 clients create, one receiver on loopback`,
    table: [['', ''], ...rowsOf(measured)],
    aims: aimsOf(measured),
    notes: [
      'One workspace, one process of the service, its receiver a process of its own that is not counted; ' +
        `max_in_flight is ${maxInFlight} an endpoint.`,
    ],
  };
}

function rowsOf({ deliver, bystanders, drain, latency, idle }: Measured): [string, string][] {
  return [
    ['created a second, no endpoint', describeRate(deliver.without)],
    ['created and delivered a second, one endpoint', describeRate(deliver.delivered)],
    ['created a second, no endpoint anywhere', formatCount(bystanders.alone)],
    ['the same, endpoints in another workspace', formatCount(bystanders.beside)],
    ...[...drain].map(([endpoints, rate]): [string, string] => [
      `a backlog of ${formatCount(backlogDeliveries)} deliveries, ${formatCount(backlogDeliveries / endpoints)} ` +
        `events × ${endpoints} endpoints, deliveries a second`,
      formatCount(rate),
    ]),
    [
      `answer of a create to receiver at ${createsPerSecond} a second, p50 / p99 ms`,
      describeLatency(latency.same),
    ],
    ['the same, created by another process', describeLatency(latency.other)],
    ['a process at rest without endpoints', describeRest(idle.without)],
    [
      `the same with ${formatCount(idleEndpoints)} in ${formatCount(idleWorkspaces)} workspaces`,
      describeRest(idle.withEndpoints),
    ],
  ];
}

function describeRate({ perSecond, serviceUs, postgresUs }: Rate): string {
  const cpu = `${serviceUs.toFixed(0)} µs of CPU each, PostgreSQL ${postgresUs.toFixed(0)} µs`;
  return `${formatCount(perSecond)} (${cpu})`;
}

function describeLatency({ p50Ms, p99Ms }: Latency['same']): string {
  return `${p50Ms.toFixed(2)} / ${p99Ms.toFixed(2)}`;
}

function describeRest({ resident, heap, queriesPerSecond }: Rest): string {
  const memory = `${toMegabytes(resident).toFixed(0)} MB resident, ${toMegabytes(heap).toFixed(0)} of it heap`;
  return `${memory}, ${queriesPerSecond.toFixed(1)} queries a second`;
}

function aimsOf({ deliver, bystanders, drain, latency, idle }: Measured): Aim[] {
  const { without, delivered } = deliver;
  const cpu = ({ serviceUs, postgresUs }: Rate) => serviceUs + postgresUs;
  const { without: empty, withEndpoints: full } = idle;
  const grown = Math.max(full.resident - empty.resident, full.heap - empty.heap);
  const queries = full.queriesPerSecond - empty.queriesPerSecond;
  return [
    ratioAim('created and delivered to created', delivered.perSecond / without.perSecond, 0.65),
    mostAim('CPU of a create and its delivery to a create’s', cpu(delivered) / cpu(without), 1.8),
    ratioAim(
      'creates beside endpoints to creates alone',
      bystanders.beside / bystanders.alone,
      0.97,
    ),
    ...[...drain].map(([endpoints, rate]) => drainAim(endpoints, rate)),
    mostAim('answer to receiver, p50 ms', latency.same.p50Ms, 2),
    mostAim('answer to receiver, p99 ms', latency.same.p99Ms, 10),
    mostAim('the same, created by another process, p99 ms', latency.other.p99Ms, 150),
    mostAim(
      `MB more with ${formatCount(idleEndpoints)} endpoints at rest`,
      toMegabytes(grown),
      100,
    ),
    mostAim('queries a second more with them', queries, 2),
  ];
}

function drainAim(endpoints: number, rate: number): Aim {
  return {
    what: `a backlog to ${endpoints} endpoints, deliveries a second`,
    measured: formatCount(rate),
    aim: '≥ 12,000',
    met: rate >= 12_000,
  };
}

function mostAim(what: string, value: number, most: number): Aim {
  return { what, measured: value.toFixed(2), aim: `≤ ${most}`, met: value <= most };
}

function toMegabytes(bytes: number): number {
  return bytes / 1024 ** 2;
}
