import { median, type Plan } from '../rounds.ts';
import type { Hooks } from './hooks.ts';
import type { Place } from './place.ts';

/** Creates a second in workspaces without endpoints: where there are none at all, and beside those that have some. */
export interface Bystanders {
  readonly alone: number;
  readonly beside: number;
}

const endpointsBeside = 20;

export async function measureBystanders(
  place: Place,
  creator: Hooks,
  { rounds, roundMs }: Plan,
): Promise<Bystanders> {
  const [plain, followed] = [await place.addWorkspace(), await place.addWorkspace()];
  const create = async () => {
    const job = { kind: 'create', target: place.target(plain), ms: roundMs } as const;
    return (await creator.run(job, 60_000)).perSecond;
  };
  const measured: { alone: number[]; beside: number[] } = { alone: [], beside: [] };
  await create();
  for (let round = 0; round < rounds; round++) {
    measured.alone.push(await create());
    // Nobody listens at the port: nothing is created there.
    const ids = await place.addEndpoints(followed, 1024, endpointsBeside);
    measured.beside.push(await create());
    await place.deleteEndpoints(ids);
  }
  return { alone: median(measured.alone), beside: median(measured.beside) };
}
