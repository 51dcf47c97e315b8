import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { idOf } from '../../../src/type-id.ts';
import { createMilestones } from './milestones.ts';
import type { Reader } from './reader.ts';
import { toLine } from './verdict.ts';

const pageSize = 500;
const pollEveryMs = 2;
const beforeFirst = '00000000-0000-0000-0000-000000000000';

/**
 * What the log is there to replace: polls the table by the order in which events were made (their ids
 * are UUIDv7, which grow with time). It misses whatever is committed after something younger was read.
 * Stops once it has seen the end.
 */
export function startIdOrderReader(name: string, databaseUrl: string, workspaceId: string): Reader {
  const lines: string[] = [];
  const progress = createMilestones();
  let stopping = false;
  let cuts = 0;
  let afterId = beforeFirst;

  async function readPage(client: pg.Client): Promise<number> {
    const { rows } = await client.query<{ id: string; sequence: string; key: string }>({
      name: 'id_order',
      text: `
        select id, sequence, payload->>'key' as key from events
        where id > $1 and workspace_id = $2 order by id limit ${pageSize}`,
      values: [afterId, workspaceId],
    });
    for (const { id, sequence, key } of rows) {
      lines.push(toLine(BigInt(sequence), idOf('evt', id), key));
      progress.reach(Number(sequence));
      afterId = id;
    }
    return rows.length;
  }

  async function readOnConnection(): Promise<void> {
    const client = new pg.Client(databaseUrl);
    client.on('error', () => undefined);
    try {
      await client.connect();
      for (;;) {
        const isLast = stopping;
        const found = await readPage(client);
        if (found === 0 && isLast) return;
        if (found === 0) await delay(pollEveryMs);
      }
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async function read(): Promise<void> {
    for (;;) {
      try {
        return await readOnConnection();
      } catch {
        cuts++;
        await delay(20);
      }
    }
  }

  return {
    name,
    lines,
    progress,
    get cuts() {
      return cuts;
    },
    ended: read(),
    stop() {
      stopping = true;
    },
  };
}
