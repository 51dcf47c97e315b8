import pg from 'pg';
import { idOf } from '../../../src/type-id.ts';
import { toLine } from './verdict.ts';

/** The log as the table holds it. */
export interface StoredLog {
  /** By sequence; see `toLine`. */
  readonly lines: readonly string[];
  /** The same events by id. */
  readonly linesById: readonly string[];
  readonly lastSequence: number;
  /** Places in 1, 2, 3 … up to the counter that no event holds, or that two hold. */
  readonly gaps: number;
  /** Keys that more than one event holds. */
  readonly duplicated: number;
  /** Creates that were acknowledged and are not there as they were acknowledged. */
  readonly lost: number;
}

interface Row {
  readonly id: string;
  readonly sequence: string;
  readonly key: string;
}

export async function readStoredLog(
  databaseUrl: string,
  workspaceId: string,
  acknowledged: ReadonlyMap<string, string>,
): Promise<StoredLog> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    const { rows } = await client.query<Row>(
      `select id, sequence, payload->>'key' as key from events
      where workspace_id = $1 order by sequence`,
      [workspaceId],
    );
    const { rows: counters } = await client.query<{ last_sequence: string }>(
      'select last_sequence from workspaces where id = $1',
      [workspaceId],
    );
    const lastSequence = Number(counters[0]?.last_sequence);
    const sequences = new Set(rows.map(({ sequence }) => Number(sequence)));
    const idByKey = new Map(rows.map(({ key, id }) => [key, idOf('evt', id)]));
    return {
      lines: rows.map(lineOf),
      linesById: rows.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(lineOf),
      lastSequence,
      gaps: lastSequence - inRange(sequences, lastSequence) + (rows.length - sequences.size),
      duplicated: rows.length - idByKey.size,
      lost: [...acknowledged].filter(([key, id]) => idByKey.get(key) !== id).length,
    };
  } finally {
    await client.end();
  }
}

function lineOf({ sequence, id, key }: Row): string {
  return toLine(BigInt(sequence), idOf('evt', id), key);
}

function inRange(sequences: ReadonlySet<number>, last: number): number {
  let count = 0;
  for (const sequence of sequences) if (sequence >= 1 && sequence <= last) count++;
  return count;
}
