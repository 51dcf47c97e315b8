import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toJob } from '../compare-servers.ts';
import type { Wire } from '../load/job.ts';
import { pgbenchScript, runPgbench } from '../pgbench.ts';
import { withCpuTime } from '../process-facts.ts';
import { alternate, type Measured, type Plan, type Subject } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { workspaceIds } from '../workload.ts';

export const batchEvents = 100;
const callsInFlight = 16;
const callsMax = 1_000_000;

/** In events a second, and CPU time an event. */
export interface BatchRates {
  readonly grpc: Measured;
  readonly json: Measured;
  /** One row a statement, by PostgreSQL's own client; undefined where there is none. */
  readonly pgbench: Measured | undefined;
}

/** BatchCreateEvents of 100 against the append of one row by pgbench, in turn. */
export async function measureBatchCreate(stage: Stage, plan: Plan): Promise<BatchRates> {
  const directory = await mkdtemp(join(tmpdir(), 'harbor-log-'));
  try {
    const script = join(directory, 'append.sql');
    await writeFile(script, pgbenchScript());
    const subjects = [batchSubject(stage, 'grpc'), batchSubject(stage, 'connect json')];
    const pgbench = pgbenchSubject(stage, script);
    const hasPgbench = await pgbench.measure(1_000).then(
      () => true,
      () => false,
    );
    const measured = await alternate(plan, hasPgbench ? [...subjects, pgbench] : subjects);
    return {
      grpc: measured.get('grpc') as Measured,
      json: measured.get('connect json') as Measured,
      pgbench: measured.get('pgbench'),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function batchSubject(stage: Stage, wire: Wire): Subject {
  return {
    name: wire,
    async measure(msMax) {
      const { pid, port } = await stage.server('service');
      const calls = { rpc: 'BatchCreateEvents', wire, workspaceIds, batchEvents } as const;
      const job = toJob(stage, port, calls, { msMax, callsMax });
      const { result, cpuUs } = await withCpuTime(
        pid,
        () => stage.load.run({ ...job, inFlight: callsInFlight }),
        ({ answered }) => answered * batchEvents,
      );
      return { ...result, perSecond: result.perSecond * batchEvents, serverCpuUs: cpuUs };
    },
  };
}

function pgbenchSubject(stage: Stage, script: string): Subject {
  return {
    name: 'pgbench',
    async measure(ms) {
      const { perSecond, meanMs } = await runPgbench(stage.databaseUrl, script, ms);
      return { perSecond, p50Ms: meanMs, p99Ms: Number.NaN, serverCpuUs: undefined };
    },
  };
}
