import { createEventLogStore, type Event } from '../../events/index.ts';
import type { FeatureDeps, Loop } from '../../feature.ts';
import { createCountMatching } from '../replays/matching-store.ts';
import { createLossStore } from './loss-store.ts';
import { createLosses, type Losses } from './losses.ts';

/** A loss is told of some hours before. */
const tellEveryMs = 600_000;

/** Tells of losses: those that are met while sending, and all others in rounds. */
export function createLossesFeature(
  { database, report }: FeatureDeps,
  onTold: (event: Event) => void,
): { readonly losses: Losses; readonly loop: Loop } {
  const losses = createLosses({
    store: createLossStore(database),
    logs: createEventLogStore(database.statements),
    countMatching: createCountMatching(database.statements),
    onTold,
    onError: report('tell of a loss of webhook events'),
  });
  const name = 'tell of losses of webhook events';
  return {
    losses,
    loop: { name, intervalMs: tellEveryMs, round: (signal) => losses.tell(signal) },
  };
}
