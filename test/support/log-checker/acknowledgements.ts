import { createMilestones, type Milestones } from './milestones.ts';

/** Every create that was acknowledged: the id of its event by its key, and how many there are. */
export interface Acknowledgements {
  readonly idByKey: ReadonlyMap<string, string>;
  readonly progress: Milestones;
  note(key: string, eventId: string): void;
}

export function createAcknowledgements(): Acknowledgements {
  const idByKey = new Map<string, string>();
  const progress = createMilestones();
  return {
    idByKey,
    progress,
    note(key, eventId) {
      idByKey.set(key, eventId);
      progress.reach(idByKey.size);
    },
  };
}
