import { createEventPartitions } from '../../database/partitions/event-partitions.ts';
import type { FeatureDeps, Loop } from '../../feature.ts';
import type { LeftBehind } from './left-behind.ts';
import { createRetention } from './retention.ts';
import { createRetentionStore } from './retention-store.ts';

/** What retention is past is gone for readers within a minute. */
const moveFloorsEveryMs = 30_000;
const removeRowsEveryMs = 30_000;
const removePartitionsEveryMs = 60 * 60 * 1_000;

/** The work of retention, in every process. */
export function createRetentionLoops(
  { database, log }: FeatureDeps,
  { hasLeft }: LeftBehind,
): Loop[] {
  const retention = createRetention({
    store: createRetentionStore(database),
    partitions: createEventPartitions(database),
    hasLeft,
    report: {
      onPartitionRetired: (partition) =>
        log.info({ partition }, 'retired a partition of events that nobody keeps'),
      onWorkspaceForgotten: (id) =>
        log.info({ workspace_id: id }, 'removed what was left of a deleted workspace'),
    },
  });
  return [
    {
      name: 'move the floors of logs',
      intervalMs: moveFloorsEveryMs,
      round: (signal) => retention.moveFloors(signal),
    },
    {
      name: 'remove past events',
      intervalMs: removeRowsEveryMs,
      async round(signal) {
        const events = await retention.removeRows(signal);
        if (events > 0) log.info({ events }, 'removed events that retention is past');
      },
    },
    {
      name: 'remove past partitions',
      intervalMs: removePartitionsEveryMs,
      round: (signal) => retention.removePartitions(signal),
    },
  ];
}
