import { checkLog, type Kill, type LogCheck } from '../../test/support/log-checker/check-log.ts';
import { type Aim, formatCount, type Report, ratioAim } from '../report.ts';
import type { Plan } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { type BatchRates, batchEvents, measureBatchCreate } from './batch-create.ts';
import { type CatchUp, caughtUpEvents, measureCatchUp } from './catch-up.ts';
import { type FanOut, followers, measureFanOut } from './fan-out.ts';
import { type Idle, type IdleMemory, idleSubscribers, measureIdle } from './idle.ts';
import { createsPerSecond, measureLatency } from './latency.ts';
import { startReaders } from './readers.ts';
import type { Percentiles } from './stream-job.ts';

const checkedEvents = 300_000;
const kills: Kill[] = ['first service', 'postgres', 'second service', 'postgres', 'first service'];

type Row = [what: string, figure: string];

/** The log: that it has no gaps under faults, how fast it is written and read, and what watching it costs. */
export async function benchLog(stage: Stage, plan: Plan): Promise<Report> {
  await using readers = startReaders();
  const batch = await measureBatchCreate(stage, plan);
  const catchUp = await measureCatchUp(stage, readers);
  const fanOut = await measureFanOut(stage, readers);
  const latency = await measureLatency(stage, readers);
  const idle = await measureIdle(stage);
  const check = await checkLog({
    events: checkedEvents,
    batchMax: batchEvents,
    kills,
    stallEveryEvents: checkedEvents / 30,
    nextCut: () => ({ ms: 1_000 }),
    seed: Date.now(),
    msMax: 200_000,
  });
  return {
    title: 'The log: batches, streams, no gaps',
    table: [
      ['', ''],
      ...batchRows(batch),
      ...streamRows(catchUp, fanOut, latency, idle),
      ...checkRows(check),
    ],
    aims: [...batchAims(batch), ...streamAims(catchUp, latency, idle), ...checkAims(check)],
    notes: [
      'An answer is sent when the commit is on disk; created_at is taken before it. ' +
        `Checked: ${describeFaults(check)}.`,
    ],
  };
}

function batchRows({ grpc, json, pgbench }: BatchRates): Row[] {
  const what = `BatchCreateEvents of ${batchEvents}, events a second`;
  const us = (value: number | undefined) => `${value?.toFixed(0) ?? '–'} µs of server CPU an event`;
  return [
    [`${what}, gRPC`, `${formatCount(grpc.perSecond)} (${us(grpc.serverCpuUs)})`],
    [`${what}, Connect JSON`, `${formatCount(json.perSecond)} (${us(json.serverCpuUs)})`],
    [
      'the append of one row by pgbench, a second',
      pgbench === undefined ? 'skipped: no pgbench here' : formatCount(pgbench.perSecond),
    ],
  ];
}

function batchAims({ grpc, pgbench }: BatchRates): Aim[] {
  const rate = rateAim(`BatchCreateEvents of ${batchEvents}, gRPC`, grpc.perSecond);
  if (pgbench === undefined) return [rate];
  return [rate, ratioAim('batch create to pgbench', grpc.perSecond / pgbench.perSecond, 1.5)];
}

function streamRows(
  catchUp: CatchUp,
  fanOut: FanOut,
  { sameProcess, otherProcess }: Awaited<ReturnType<typeof measureLatency>>,
  { service, bare, queries }: Idle,
): Row[] {
  const percentiles = ({ p50Ms, p99Ms }: Percentiles) =>
    `${p50Ms.toFixed(1)} / ${p99Ms.toFixed(1)}`;
  const withCpu = ({ perSecond, serverCpuUs }: CatchUp) =>
    `${formatCount(perSecond)} (${serverCpuUs?.toFixed(1) ?? '–'} µs of server CPU each)`;
  const besideBare = (what: keyof IdleMemory) =>
    `${kilobytes(service[what])} (${kilobytes(bare[what])})`;
  const perSecond = [...queries].map(([count, rate]) => `${count}: ${rate.toFixed(1)}`);
  return [
    [
      `catching up on ${formatCount(caughtUpEvents)} events, one gRPC stream, events a second`,
      withCpu(catchUp),
    ],
    [`${followers} subscribers of one workspace, messages delivered a second`, withCpu(fanOut)],
    [
      `answer of a create to subscriber at ${createsPerSecond} a second, p50 / p99 ms, same process`,
      percentiles(sameProcess.afterAnswer),
    ],
    ['the same, another process', percentiles(otherProcess.afterAnswer)],
    [
      'created_at to subscriber, with the commit, same process',
      percentiles(sameProcess.afterCreatedAt),
    ],
    ['the same, another process', percentiles(otherProcess.afterCreatedAt)],
    [
      `${formatCount(idleSubscribers)} idle subscribers more, KB each; in brackets what Node takes for the streams`,
      `${besideBare('nextRss')} resident, ${besideBare('nextHeap')} heap`,
    ],
    [
      `the first ${formatCount(idleSubscribers)} of a fresh process, with all that it grows once`,
      `${besideBare('firstRss')} resident`,
    ],
    ['queries a second by count of idle subscribers', perSecond.join(', ')],
  ];
}

function streamAims(
  catchUp: CatchUp,
  { sameProcess, otherProcess }: Awaited<ReturnType<typeof measureLatency>>,
  { service, queries }: Idle,
): Aim[] {
  const few = queries.get(100) ?? Number.NaN;
  const many = queries.get(idleSubscribers) ?? Number.NaN;
  return [
    rateAim('catching up on one stream', catchUp.perSecond),
    mostAim('answer to subscriber, same process, p99 ms', sameProcess.afterAnswer.p99Ms, 50),
    mostAim('answer to subscriber, another process, p99 ms', otherProcess.afterAnswer.p99Ms, 150),
    mostAim('an idle subscriber, KB resident', service.nextRss / 1024, 20),
    mostAim('queries a second of 900 more idle subscribers', many - few, 1),
  ];
}

function checkRows({ stored, readers, idOrderReader }: LogCheck): Row[] {
  const text = ({ missed, twice, outOfOrder, foreign }: LogCheck['idOrderReader']) =>
    `missed ${formatCount(missed)}, twice ${twice}, out of order ${outOfOrder}, foreign ${foreign}`;
  return [
    [
      `the log of ${formatCount(stored.lines.length)} events`,
      `gaps ${stored.gaps}, lost ${stored.lost}, duplicated ${stored.duplicated}`,
    ],
    ...Object.entries(readers).map(([name, verdict]): Row => [`read by: ${name}`, text(verdict)]),
    ['read by: polling in the order of ids', text(idOrderReader)],
  ];
}

function checkAims({ stored, readers, idOrderReader }: LogCheck): Aim[] {
  const verdicts = Object.values(readers).flatMap((verdict) => Object.values(verdict));
  const faults = [...verdicts, stored.gaps, stored.lost, stored.duplicated];
  const sum = faults.reduce((total, one) => total + one, 0);
  const { missed } = idOrderReader;
  return [
    mostAim('events missed, twice, out of order, foreign, lost, duplicated; gaps', sum, 0),
    {
      what: 'events missed by a reader that polls in the order of ids',
      measured: formatCount(missed),
      aim: '≥ 1',
      met: missed >= 1,
    },
  ];
}

function describeFaults({ acknowledged, faults, writingMs }: LogCheck): string {
  const { kills: killed, stalls, rolledBack, terminated, cuts } = faults;
  return (
    `${formatCount(acknowledged)} acknowledged creates in ${(writingMs / 1000).toFixed(0)} s by 8 ` +
    `writers over 2 processes, ${killed} kills of a process or of PostgreSQL, ${stalls} stalls, ` +
    `${rolledBack} rollbacks, ${terminated} sessions terminated, ${cuts} cuts of readers`
  );
}

function rateAim(what: string, perSecond: number): Aim {
  const least = 20_000;
  return {
    what: `${what}, events a second`,
    measured: formatCount(perSecond),
    aim: `≥ ${formatCount(least)}`,
    met: perSecond >= least,
  };
}

function mostAim(what: string, value: number, most: number): Aim {
  const measured = Number.isInteger(value) ? formatCount(value) : value.toFixed(1);
  return { what, measured, aim: `≤ ${most}`, met: value <= most };
}

function kilobytes(bytes: number): string {
  return (bytes / 1024).toFixed(1);
}
