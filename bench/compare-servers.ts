import type { LoadJob } from './load/job.ts';
import { withCpuTime } from './process-facts.ts';
import type { Subject } from './rounds.ts';
import type { ServerName } from './server-process.ts';
import type { Stage } from './stage.ts';
import { callsInFlight } from './workload.ts';

/** More than any round has time for. */
const callsMax = 1_000_000;

/** What a job needs beside the server, its time and its bounds. */
export type Calls = LoadJob extends infer Job
  ? Job extends LoadJob
    ? Omit<Job, 'port' | 'secretKey' | 'inFlight' | 'sessions' | 'msMax' | 'callsMax'>
    : never
  : never;

export interface LoadBounds {
  readonly msMax: number;
  readonly callsMax: number;
}

/** A job of 64 calls in flight over 4 connections. */
export function toJob(stage: Stage, port: number, calls: Calls, bounds: LoadBounds): LoadJob {
  const { secretKey } = stage;
  return { ...calls, ...bounds, port, secretKey, inFlight: callsInFlight, sessions: 4 };
}

/** A server under these calls; `onAnswered` learns how many were answered. */
export function createSubject(
  stage: Stage,
  name: ServerName,
  calls: Calls,
  onAnswered: (name: ServerName, answered: number) => void = () => undefined,
): Subject {
  return {
    name,
    async measure(msMax) {
      const { pid, port } = await stage.server(name);
      const { result, cpuUs } = await withCpuTime(
        pid,
        () => stage.load.run(toJob(stage, port, calls, { msMax, callsMax })),
        ({ answered }) => answered,
      );
      onAnswered(name, result.answered);
      return { ...result, serverCpuUs: cpuUs };
    },
  };
}
