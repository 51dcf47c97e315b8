import type { ClientBase } from 'pg';

/** What events take on disk. */
export interface Sizes {
  readonly events: number;
  readonly heapBytes: number;
  /** By what each index is over. */
  readonly indexBytes: ReadonlyMap<string, number>;
}

/** All partitions together. */
export async function readSizes(client: ClientBase, events: number): Promise<Sizes> {
  const { rows } = await client.query<{ kind: string; bytes: string }>(`
    select kind, sum(bytes) as bytes from (
      select 'heap' as kind, pg_table_size(inhrelid) as bytes
      from pg_inherits where inhparent = 'events'::regclass
      union all
      select substring(pg_get_indexdef(indexrelid) from 'USING btree (.*)'), pg_relation_size(indexrelid)
      from pg_inherits join pg_index on indrelid = inhrelid where inhparent = 'events'::regclass
    ) as parts group by kind order by kind`);
  const bytes = new Map(rows.map((row) => [row.kind, Number(row.bytes)]));
  const heapBytes = bytes.get('heap') ?? 0;
  bytes.delete('heap');
  return { events, heapBytes, indexBytes: bytes };
}

export function describeSizes({ events, heapBytes, indexBytes }: Sizes): string[] {
  const perEvent = (bytes: number) => (bytes / events).toFixed(0);
  const indexes = [...indexBytes].map(([over, bytes]) => `${over}: ${perEvent(bytes)}`);
  const all = heapBytes + [...indexBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  return [
    `At the last size an event takes ${perEvent(all)} bytes of disk, of which ${perEvent(heapBytes)} in the table, and in ` +
      `the indexes over ${indexes.join('; ')}.`,
  ];
}
