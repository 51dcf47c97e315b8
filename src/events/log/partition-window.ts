import { everyId, type IdRange, idsOfPartitions, partitionOf } from './id-range.ts';
import type { LogEntry, LogIndexStore } from './log-index-store.ts';
import { type LogRange, partBefore } from './log-range.ts';

/** The beginning of a range, and ids that all of its events have. */
export interface PartitionWindow {
  readonly range: LogRange;
  readonly ids: IdRange;
  /** The event that follows, in the direction of the range. */
  readonly next: LogEntry | undefined;
}

export type PartitionedLog = Pick<LogIndexStore, 'readPartitionStarts' | 'findUuid' | 'findBeyond'>;

/** A range, and an event at its beginning or shortly before, where one is known. */
export interface OpenedRange {
  readonly range: LogRange;
  readonly near: LogEntry | undefined;
}

/**
 * The beginning of a range that `partitions` of the table hold, all of it: so that what looks into each partition many
 * times looks into few. Along a log the times in ids increase, but for a little where two processes append; nothing
 * is taken on trust here, since the other partitions are asked for the first event that they hold of the range.
 */
export async function openWindow(
  store: PartitionedLog,
  { range, near }: OpenedRange,
  partitions: number,
): Promise<PartitionWindow> {
  const starts = await store.readPartitionStarts();
  const isAscending = range.direction === 'asc';
  const begin = isAscending ? range.low + 1 : range.high;
  const uuid = near?.uuid ?? (await store.findUuid(range.workspaceId, begin));
  // Retention has passed it meanwhile, or the log is damaged.
  if (uuid === undefined) return wholeWindow(range);
  const place = partitionOf(starts, uuid);
  const ids = idsOfPartitions(starts, isAscending ? place : place - partitions + 1, partitions);
  const next = await store.findBeyond(range, ids);
  return { range: next === undefined ? range : partBefore(range, next.sequence), ids, next };
}

/** All of a range, in whatever partitions it is. */
export function wholeWindow(range: LogRange): PartitionWindow {
  return { range, ids: everyId, next: undefined };
}
