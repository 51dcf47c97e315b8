/** How much time a partition of events holds; chosen once for a database. */
export type PartitionPeriod = 'quarter' | 'month';

/** A partition as it is made: the events whose ids are of a time from `from` on and before `until`. */
export interface PlannedPartition {
  /** `events_2026q4` or `events_2026m11`. */
  readonly name: string;
  readonly from: Date;
  readonly until: Date;
}

/** So many are made before they are needed: nobody has to hurry. */
export const periodsAhead = 3;

const monthsOf: Record<PartitionPeriod, number> = { quarter: 3, month: 1 };

/** The partition of a time, and the `ahead` that follow it. By UTC, as the times in ids are. */
export function partitionsFrom(
  period: PartitionPeriod,
  at: Date,
  ahead: number,
): PlannedPartition[] {
  const months = monthsOf[period];
  const first = Math.floor(at.getUTCMonth() / months);
  return Array.from({ length: ahead + 1 }, (_, index) => {
    const month = (first + index) * months;
    const from = new Date(Date.UTC(at.getUTCFullYear(), month));
    const until = new Date(Date.UTC(at.getUTCFullYear(), month + months));
    return { name: nameOf(period, from), from, until };
  });
}

function nameOf(period: PartitionPeriod, from: Date): string {
  const year = from.getUTCFullYear();
  const month = from.getUTCMonth();
  return period === 'month'
    ? `events_${year}m${`${month + 1}`.padStart(2, '0')}`
    : `events_${year}q${month / 3 + 1}`;
}

/** What no UUIDv7 of that time or later is below, and every earlier one is: the bound of a partition. */
export function boundAt(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** The time in a UUIDv7, to the millisecond. */
export function timeOfUuid(uuid: string): Date {
  return new Date(Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16));
}
