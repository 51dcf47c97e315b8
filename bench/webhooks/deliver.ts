import { median, type Plan } from '../rounds.ts';
import type { Hooks } from './hooks.ts';
import type { Place } from './place.ts';

/** Creates of one workspace, and what each costs. */
export interface Rate {
  readonly perSecond: number;
  /** CPU time each, delivery included. */
  readonly serviceUs: number;
  readonly postgresUs: number;
}

export interface Deliver {
  readonly without: Rate;
  /** Until the last one was delivered. */
  readonly delivered: Rate;
}

const msMax = 120_000;

/** Creates in a workspace without endpoints and in one with one, in turn. */
export async function measureDeliver(
  place: Place,
  [creator, receiver]: readonly [Hooks, Hooks],
  { rounds, roundMs }: Plan,
): Promise<Deliver> {
  const { port } = await receiver.run({ kind: 'listen' }, msMax);
  const [plain, followed] = [await place.addWorkspace(), await place.addWorkspace()];
  const endpoints = await place.addEndpoints(followed, port, 1);
  let expected = 0;
  const create = async (workspaceId: string) => {
    const before = place.readCpuMs();
    const beganAt = performance.now();
    const job = { kind: 'create', target: place.target(workspaceId), ms: roundMs } as const;
    const { perSecond, answered } = await creator.run(job, msMax);
    if (workspaceId === plain) return { ...costs(before, place.readCpuMs(), answered), perSecond };
    expected += answered;
    await receiver.run({ kind: 'await', count: expected }, msMax);
    const seconds = (performance.now() - beganAt) / 1000;
    return { ...costs(before, place.readCpuMs(), answered), perSecond: answered / seconds };
  };
  for (const id of [plain, followed]) await create(id);
  const measured: { without: Rate[]; delivered: Rate[] } = { without: [], delivered: [] };
  for (let round = 0; round < rounds; round++) {
    measured.without.push(await create(plain));
    measured.delivered.push(await create(followed));
  }
  await place.deleteEndpoints(endpoints);
  return { without: medians(measured.without), delivered: medians(measured.delivered) };
}

type Cpu = ReturnType<Place['readCpuMs']>;

/** NaN where it cannot be told. */
function costs(before: Cpu, after: Cpu, count: number) {
  const us = (from = Number.NaN, to = Number.NaN) => ((to - from) * 1000) / count;
  return {
    serviceUs: us(before.service, after.service),
    postgresUs: us(before.postgres, after.postgres),
  };
}

function medians(rates: readonly Rate[]): Rate {
  return {
    perSecond: median(rates.map(({ perSecond }) => perSecond)),
    serviceUs: median(rates.map(({ serviceUs }) => serviceUs)),
    postgresUs: median(rates.map(({ postgresUs }) => postgresUs)),
  };
}
