import { setTimeout as delay } from 'node:timers/promises';
import type { Stage } from '../stage.ts';
import { workspaceIds } from '../workload.ts';
import { type ObservedServer, startObservedServer } from './observed-server.ts';
import { startReaders } from './readers.ts';

export const idleSubscribers = 1_000;
const streamsPerSession = 100;
const windowMs = 8_000;

export interface Idle {
  /** Resident memory that a subscriber adds to the service, in bytes. */
  readonly rssBytes: number;
  /** The same of V8's heap and what hangs on it, in bytes. */
  readonly heapBytes: number;
  /** Transactions a second on the database by the count of subscribers, all else being at rest. */
  readonly transactions: ReadonlyMap<number, number>;
}

/** Subscribers over 64 workspaces in which nothing happens, 100 to a connection. */
export async function measureIdle(stage: Stage): Promise<Idle> {
  await using server = await startObservedServer(stage.databaseUrl);
  const transactions = new Map<number, number>();
  transactions.set(0, await transactionsPerSecond(stage));
  // Whatever the first subscribers make that stays is no part of what one more costs.
  const first = await subscribe(stage, server, streamsPerSession);
  transactions.set(streamsPerSession, await transactionsPerSecond(stage));
  await first[Symbol.asyncDispose]();
  await delay(1_000);
  const before = await server.readMemory();
  await using _ = await subscribe(stage, server, idleSubscribers);
  const after = await server.readMemory();
  transactions.set(idleSubscribers, await transactionsPerSecond(stage));
  const heap = (memory: NodeJS.MemoryUsage) => memory.heapUsed + memory.external;
  return {
    rssBytes: (after.rss - before.rss) / idleSubscribers,
    heapBytes: (heap(after) - heap(before)) / idleSubscribers,
    transactions,
  };
}

/** Disposing ends them. */
async function subscribe(
  { secretKey }: Stage,
  { port }: ObservedServer,
  count: number,
): Promise<AsyncDisposable> {
  const readers = startReaders();
  const sessions = count / streamsPerSession;
  const job = { port, secretKey, workspaceIds, sessions, streamsPerSession } as const;
  await readers.run({ kind: 'stay', ...job }, 60_000);
  return readers;
}

async function transactionsPerSecond({ database }: Stage): Promise<number> {
  const read = async () => {
    const [row] = await database.statements.run<{ count: number }>(
      {
        name: 'bench_transactions',
        text: `select xact_commit::float8 as count from pg_stat_database
          where datname = current_database()`,
      },
      [],
      10_000,
    );
    return row?.count ?? Number.NaN;
  };
  const before = await read();
  await delay(windowMs);
  return ((await read()) - before) / (windowMs / 1000);
}
