export type Direction = 'asc' | 'desc';

/** A part of a workspace's log: after `low`, up to and including `high`. */
export interface LogRange {
  readonly workspaceId: string;
  readonly low: number;
  readonly high: number;
  readonly direction: Direction;
  /** Events at the most. */
  readonly limit: number;
}

/** What of a range is still to be read after the event with a sequence, in its direction; undefined: nothing. */
export function restAfter(range: LogRange, sequence: number): LogRange | undefined {
  const rest =
    range.direction === 'asc' ? { ...range, low: sequence } : { ...range, high: sequence - 1 };
  return rest.low < rest.high ? rest : undefined;
}

/** What of a range comes before the event with a sequence, in its direction. */
export function partBefore(range: LogRange, sequence: number): LogRange {
  return range.direction === 'asc' ? { ...range, high: sequence - 1 } : { ...range, low: sequence };
}

/** The last sequence of a range, in its direction. */
export function lastOf({ direction, low, high }: LogRange): number {
  return direction === 'asc' ? high : low + 1;
}

/** How many sequences are in a range. */
export function lengthOf({ low, high }: LogRange): number {
  return high - low;
}
