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
