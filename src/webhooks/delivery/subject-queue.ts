import type { Plan } from './planner.ts';

/** Carries plans out, a few at once, in the order in which they come. */
export interface SubjectQueue {
  add(plan: Plan): void;
  /** Resolves when all that was added has been carried out. */
  drained(): Promise<void>;
}

/** @param carryOut never rejects. */
export function createSubjectQueue(
  carryOut: (plan: Plan) => Promise<void>,
  atOnce: number,
): SubjectQueue {
  const waiting: Plan[] = [];
  const running = new Set<Promise<void>>();

  async function work(): Promise<void> {
    for (let plan = waiting.shift(); plan !== undefined; plan = waiting.shift()) {
      await carryOut(plan);
    }
  }

  return {
    add(plan) {
      waiting.push(plan);
      if (running.size === atOnce) return;
      const worker = work().finally(() => running.delete(worker));
      running.add(worker);
    },
    async drained() {
      await Promise.all(running);
    },
  };
}
