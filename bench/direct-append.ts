import type { Database } from '../src/database/database.ts';
import { type PreparedEvent, prepareEvent } from '../src/events/event.ts';
import { createEventStore } from '../src/events/index.ts';
import { readCpuMs } from './process-facts.ts';
import type { Measured } from './rounds.ts';
import { newEvent, workspaceIds } from './workload.ts';

/** Batches that are on their way at once. */
export const flights = 2;

/** What is appended: so many events a batch, over so many workspaces; with keys, and about something, unless told otherwise. */
export interface DirectAppend {
  readonly batchSize: number;
  readonly workspaces?: number;
  readonly hasKeys?: boolean;
  readonly hasSubjects?: boolean;
}

/** Calls the service's append directly, for some time, and tells what an event costs PostgreSQL. */
export async function measureAppend(
  database: Database,
  ms: number,
  { batchSize, workspaces = workspaceIds.length, hasKeys = true, hasSubjects = true }: DirectAppend,
): Promise<Measured> {
  const store = createEventStore(database.statements);
  const pids = await findServerPids(database);
  const cpuBefore = cpuMsOf(pids);
  const startedAt = performance.now();
  const times: number[] = [];
  const fly = async () => {
    while (performance.now() - startedAt < ms) {
      const batch = makeBatch({ batchSize, workspaces, hasKeys, hasSubjects });
      const turns = batch.map((_, index) => index);
      const sentAt = performance.now();
      await store.append(batch, turns, { lockMsMax: 5_000, timeoutMs: 10_000 });
      times.push(performance.now() - sentAt);
    }
  };
  // Of one workspace one batch is on its way, as in the queue.
  await Promise.all(Array.from({ length: Math.min(flights, workspaces) }, fly));
  const seconds = (performance.now() - startedAt) / 1_000;
  const events = times.length * batchSize;
  const cpuAfter = cpuMsOf(pids);
  const sorted = times.toSorted((a, b) => a - b);
  return {
    perSecond: events / seconds,
    p50Ms: sorted[sorted.length >> 1] ?? Number.NaN,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
    serverCpuUs:
      cpuBefore === undefined || cpuAfter === undefined
        ? undefined
        : ((cpuAfter - cpuBefore) * 1_000) / events,
  };
}

let made = 0;

/** Sorted as the queue sorts them: each workspace has its place in the text of the key as well. */
function makeBatch(append: Required<DirectAppend>): PreparedEvent[] {
  const { batchSize, workspaces, hasKeys, hasSubjects } = append;
  return Array.from({ length: batchSize }, () => {
    const number = made++;
    return prepareEvent({
      workspaceId: workspaceIds[number % workspaces] as string,
      ...newEvent,
      ...(hasSubjects && { subject: `inv_${number % 10_000}` }),
      idempotencyKey: hasKeys ? `bench ${number}` : undefined,
    });
  }).sort((a, b) =>
    `${a.workspaceId} ${a.idempotencyKey}` < `${b.workspaceId} ${b.idempotencyKey}` ? -1 : 1,
  );
}

/** Of the sessions that append, and of all that PostgreSQL does in the background. */
async function findServerPids({ statements }: Database): Promise<number[]> {
  const rows = await statements.run<{ pid: number }>(
    {
      name: 'bench_server_pids',
      text: `select pid from pg_stat_activity where backend_type not like 'autovacuum%'
        and (datname is null or datname = current_database())`,
    },
    [],
    10_000,
  );
  return rows.map(({ pid }) => pid);
}

/** Of those that still run; undefined where it cannot be told. */
function cpuMsOf(pids: readonly number[]): number | undefined {
  const times = pids.map((pid) => readCpuMs(pid));
  return times.some((time) => time === undefined)
    ? undefined
    : times.reduce<number>((sum, time) => sum + (time ?? 0), 0);
}
