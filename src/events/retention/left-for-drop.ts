/** A part of the events by the time in their ids, which can go as a whole. */
export interface TimePart {
  readonly name: string;
  /** Undefined: whatever is before `until`. */
  readonly from: Date | undefined;
  readonly until: Date;
}

const dayMs = 24 * 60 * 60 * 1_000;
/** The shortest retention there is: a part that is younger is kept, whatever is in it. */
const retentionDaysMin = 7;
/** How long what is past may stay on disk, so that it goes with its partition and not row by row. */
const waitDaysMax = 31;

/**
 * Up to which time events that are past are left for their partition to be dropped: those of partitions which everybody's
 * retention will be past within 31 days. To drop one costs nothing, however much is in it; a row that is deleted
 * costs about what it cost to write it. Undefined: none are left.
 *
 * @param longestDays the longest retention of all, in days; undefined: somebody keeps events for ever, and rows go
 * one by one, since no partition may ever be past for everybody.
 */
export function leftForDropUntil(
  parts: readonly TimePart[],
  longestDays: number | undefined,
  now: Date,
): Date | undefined {
  if (longestDays === undefined) return undefined;
  const latest = now.getTime() + (waitDaysMax - longestDays) * dayMs;
  return parts.findLast(({ until }) => until.getTime() <= latest)?.until;
}

/** The parts of which nothing may be kept any more, the oldest first: whether that is so is to be looked up. */
export function maybePast(parts: readonly TimePart[], now: Date): readonly TimePart[] {
  const latest = now.getTime() - retentionDaysMin * dayMs;
  return parts.filter(({ until }) => until.getTime() <= latest);
}
