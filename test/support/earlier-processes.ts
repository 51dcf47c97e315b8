import { createHash, randomUUIDv7 } from 'node:crypto';
import pg from 'pg';
import { earlierAppend, earlierList, earlierRead, earlierSchema } from './earlier-program.ts';
import type { TestDatabase } from './test-database.ts';

/** Makes of a database what a program of before partitions had made of it, with two workspaces. */
export async function makeEarlierDatabase(database: TestDatabase): Promise<void> {
  await database.query('drop schema public cascade; create schema public');
  await database.query(earlierSchema);
  await database.query(
    `insert into workspaces (id, display_name, created_at) values ('ws_1', '', now()), ('ws_2', '', now())`,
  );
}

/** Processes that create, retrieve and list as the program of before partitions does. */
export interface EarlierProcesses {
  /** Ids that were acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  readonly failures: readonly unknown[];
  /** Batches and reads that were answered. */
  readonly answered: number;
  stop(): Promise<void>;
}

const batchSize = 20;

export async function startEarlierProcesses(database: TestDatabase): Promise<EarlierProcesses> {
  const acknowledged = new Set<string>();
  const failures: unknown[] = [];
  const state = { answered: 0, isStopped: false };
  const loop = async (round: (client: pg.Client) => Promise<void>) => {
    // The limits of its sessions.
    const client = new pg.Client({
      connectionString: database.url,
      lock_timeout: 1_000,
      statement_timeout: 10_000,
    });
    await client.connect();
    while (!state.isStopped && failures.length === 0) {
      await round(client).catch((error: unknown) => failures.push(error));
      state.answered++;
    }
    await client.end();
  };
  const loops = [
    loop((client) => appendBatch(client, 'ws_1', acknowledged)),
    loop((client) => appendBatch(client, 'ws_2', acknowledged)),
    loop((client) => readPage(client)),
  ];
  return {
    acknowledged,
    failures,
    get answered() {
      return state.answered;
    },
    async stop() {
      state.isStopped = true;
      await Promise.all(loops);
    },
  };
}

async function appendBatch(
  client: pg.Client,
  workspaceId: string,
  acknowledged: Set<string>,
): Promise<void> {
  const ids = Array.from({ length: batchSize }, () => randomUUIDv7());
  const { rows } = await client.query({
    ...earlierAppend,
    values: [
      ids,
      ids.map(() => workspaceId),
      ids.map(() => 'tested'),
      ids.map((id) => JSON.stringify({ id })),
      ids.map(() => 45),
      ids,
      ids.map((id) => createHash('sha256').update(id).digest()),
      ids.map((_, index) => index),
    ],
  });
  if (rows.some(({ is_new: isNew }) => !isNew)) throw new Error('a new key was held');
  for (const id of ids) acknowledged.add(id);
}

/** A page without a gap, whose last event is found by its id. */
async function readPage(client: pg.Client): Promise<void> {
  const values = ['ws_1', 0, Number.MAX_SAFE_INTEGER, 100, 1_000_000];
  const { rows } = await client.query({ ...earlierList, values });
  const isWhole = rows.every(({ sequence }, index) => sequence === index + 1);
  if (!isWhole) throw new Error(`a page has a gap: ${rows.map(({ sequence }) => sequence)}`);
  if (rows.length === 0) return;
  const read = await client.query({ ...earlierRead, values: [[rows.at(-1).id]] });
  if (read.rows.length !== 1) throw new Error('an event is not found by its id');
}
