/** How a reader's account of the log differs from the table; all zero for a reader that did its work. */
export interface Verdict {
  /** Events of the table that never arrived. */
  readonly missed: number;
  /** Arrivals of an event that had arrived before. */
  readonly twice: number;
  /** Arrivals of an event that stands before the one that arrived last. */
  readonly outOfOrder: number;
  /** Arrivals that the table does not hold as they came. */
  readonly foreign: number;
}

/** An event in one line: equal lines are the same event, with the same content, at the same place. */
export function toLine(sequence: number | bigint, id: string, key: unknown): string {
  return `${sequence} ${id} ${key}`;
}

/** Holds what a reader got against what is stored, in the order in which it had to come. */
export function judge(stored: readonly string[], read: readonly string[]): Verdict {
  const places = new Map(stored.map((line, place) => [line, place]));
  const seen = new Set<string>();
  const verdict = { missed: 0, twice: 0, outOfOrder: 0, foreign: 0 };
  let last = -1;
  for (const line of read) {
    const place = places.get(line);
    if (place === undefined) {
      verdict.foreign++;
      continue;
    }
    if (seen.has(line)) verdict.twice++;
    else if (place < last) verdict.outOfOrder++;
    seen.add(line);
    last = place;
  }
  return { ...verdict, missed: places.size - seen.size };
}
