/**
 * UUIDs from one on, and below another. Ids begin with their time, and events are partitioned by it: a range of ids that
 * a statement is given lets PostgreSQL leave out the partitions beyond it before it prepares to read them.
 */
export interface IdRange {
  readonly from: string;
  readonly before: string;
}

/**
 * SQL for it, given the parameters of both. PostgreSQL leaves out partitions by an "or" as by a plain comparison, and
 * does not take the primary key for the index to walk, which it did for a partition that it knew nothing of. What stands
 * behind each "or" is of a partition that is read anyhow.
 */
export function isAmong(from: `$${number}`, before: `$${number}`): string {
  return `(id > ${from}::uuid or id = ${from}::uuid) and (id < ${before}::uuid or id = ${from}::uuid)`;
}

export const everyId: IdRange = {
  from: '00000000-0000-0000-0000-000000000000',
  before: 'ffffffff-ffff-ffff-ffff-ffffffffffff',
};

/**
 * Where the partitions of events begin: UUIDs in their order, the first of them `everyId.from`. A list that is out of date
 * costs time, and nothing else: between two of them there may be several partitions, or none.
 */
export type PartitionStarts = readonly string[];

/** Which partition an id is of. */
export function partitionOf(starts: PartitionStarts, uuid: string): number {
  return Math.max(
    0,
    starts.findLastIndex((start) => start <= uuid),
  );
}

/** The ids of some partitions, from the one at a place on; of as many of them as there are. */
export function idsOfPartitions(starts: PartitionStarts, place: number, count: number): IdRange {
  return {
    from: starts[Math.max(0, place)] ?? everyId.from,
    before: starts[place + count] ?? everyId.before,
  };
}

/** Between the time in an event's id and that at which it was recorded there is far less, unless a clock was wrong. */
const nearMs = 3_600_000;

/**
 * Where to search for a time, until it is found: where ids have it, which is in one partition or, where one ends, in two;
 * around that, for a log that is quiet; and everywhere, since clocks may have been wrong.
 */
export function idsAround(starts: PartitionStarts, time: Date): IdRange[] {
  const placeAt = (ms: number) => partitionOf(starts, uuidAt(new Date(time.getTime() + ms)));
  const first = placeAt(-nearMs);
  return [
    idsOfPartitions(starts, first, placeAt(nearMs) - first + 1),
    idsOfPartitions(starts, placeAt(0) - 1, 3),
    everyId,
  ];
}

const timeMsMax = 2 ** 48 - 1;

/** What no UUIDv7 of a time or later is below, and every earlier one is. */
export function uuidAt(time: Date): string {
  const ms = Math.min(Math.max(0, time.getTime()), timeMsMax);
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
