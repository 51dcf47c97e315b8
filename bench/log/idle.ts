import { setTimeout as delay } from 'node:timers/promises';
import type { Stage } from '../stage.ts';
import { workspaceIds } from '../workload.ts';
import {
  type ObservedMemory,
  type ObservedServer,
  startObservedServer,
} from './observed-server.ts';
import { startReaders } from './readers.ts';

export const idleSubscribers = 1_000;
const streamsPerSession = 100;
const windowMs = 8_000;

/** In bytes a subscriber. */
export interface Idle {
  /** The first thousand of a fresh process, with all that it grows once: its nursery, its allocator's arenas. */
  readonly firstRss: number;
  /** Each of the next two thousand: resident memory, V8's nursery apart. */
  readonly nextRss: number;
  /** The same of V8's heap and what hangs on it. */
  readonly nextHeap: number;
  /** Transactions a second on the database by the count of subscribers, all else being at rest. */
  readonly transactions: ReadonlyMap<number, number>;
}

/** Subscribers over 64 workspaces in which nothing happens, 100 to a connection. */
export async function measureIdle(stage: Stage): Promise<Idle> {
  await using server = await startObservedServer(stage.databaseUrl);
  await using subscribers = startSubscribers(stage, server);
  const transactions = new Map<number, number>();
  const measureTransactions = async (count: number) => {
    transactions.set(count, await transactionsPerSecond(stage));
  };
  await measureTransactions(0);
  const none = await server.readMemory();
  await subscribers.add(streamsPerSession);
  await measureTransactions(streamsPerSession);
  await subscribers.add(idleSubscribers - streamsPerSession);
  const first = await server.readMemory();
  await measureTransactions(idleSubscribers);
  await subscribers.add(2 * idleSubscribers);
  const last = await server.readMemory();

  const grown = (read: (memory: ObservedMemory) => number) =>
    (read(last) - read(first)) / (2 * idleSubscribers);
  return {
    firstRss: (first.rss - none.rss) / idleSubscribers,
    nextRss: grown(({ rss, nursery }) => rss - nursery),
    nextHeap: grown(({ heapUsed, external }) => heapUsed + external),
    transactions,
  };
}

/** Disposing ends them. */
function startSubscribers({ secretKey }: Stage, { port }: ObservedServer) {
  const started = new AsyncDisposableStack();
  return {
    async add(count: number): Promise<void> {
      const readers = started.use(startReaders());
      const sessions = count / streamsPerSession;
      const job = { port, secretKey, workspaceIds, sessions, streamsPerSession } as const;
      await readers.run({ kind: 'stay', ...job }, 60_000);
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
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
