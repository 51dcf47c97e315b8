import { everyId, type IdRange, idsOfPartitions, partitionOf } from './id-range.ts';
import type { LogIndexStore } from './log-index-store.ts';
import { type LogRange, partBefore } from './log-range.ts';

/** The beginning of a range, and ids that all of its events have. */
export interface PartitionWindow {
  readonly range: LogRange;
  readonly ids: IdRange;
}

export type PartitionedLog = Pick<LogIndexStore, 'readPartitionStarts' | 'findUuid' | 'findBeyond'>;

/**
 * The beginning of a range that `partitions` of the table hold, all of it: so that what looks into each partition many
 * times looks into few. Along a log the times in ids increase, but for a little where two processes append; nothing
 * is taken on trust here, since the other partitions are asked for the first event that they hold of the range.
 */
export async function openWindow(
  store: PartitionedLog,
  range: LogRange,
  partitions: number,
): Promise<PartitionWindow> {
  const starts = await store.readPartitionStarts();
  const isAscending = range.direction === 'asc';
  const uuid = await store.findUuid(range.workspaceId, isAscending ? range.low + 1 : range.high);
  // Retention has passed it meanwhile, or the log is damaged.
  if (uuid === undefined) return { range, ids: everyId };
  const place = partitionOf(starts, uuid);
  const first = isAscending ? place : place - partitions + 1;
  const ids = idsOfPartitions(starts, first, partitions);
  const beyond = await store.findBeyond(range, ids);
  return { range: beyond === undefined ? range : partBefore(range, beyond), ids };
}
