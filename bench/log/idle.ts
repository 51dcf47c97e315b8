import { setTimeout as delay } from 'node:timers/promises';
import { startStatementCounter } from '../../test/support/statement-counter.ts';
import { median } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { workspaceIds } from '../workload.ts';
import {
  type ObservedMemory,
  type ObservedName,
  type ObservedServer,
  startObservedServer,
} from './observed-server.ts';
import { startReaders } from './readers.ts';

export const idleSubscribers = 1_000;
const streamsPerSession = 100;
const windowMs = 8_000;
const laterThousands = 5;

/** Memory in bytes a subscriber. */
export interface IdleMemory {
  /** The first thousand of a fresh process, with all that it grows once: its nursery, its allocator's arenas. */
  readonly firstRss: number;
  /** A later thousand, the median of five: resident memory, V8's nursery apart. */
  readonly nextRss: number;
  /** The same of V8's heap and what hangs on it. */
  readonly nextHeap: number;
}

export interface Idle {
  readonly service: IdleMemory;
  /** A server that only holds the streams: what Node alone takes for them. */
  readonly bare: IdleMemory;
  /** Queries of the service, a second, by the count of subscribers, all else being at rest. */
  readonly queries: ReadonlyMap<number, number>;
}

/** Subscribers over 64 workspaces in which nothing happens, 100 to a connection. */
export async function measureIdle(stage: Stage): Promise<Idle> {
  const bare = await measureMemory('bare', stage, stage.databaseUrl, async () => undefined);
  const counter = await startStatementCounter(stage.databaseUrl);
  const queries = new Map<number, number>();
  const service = await measureMemory('service', stage, counter.url, async (count) => {
    const before = counter.total();
    await delay(windowMs);
    queries.set(count, (counter.total() - before) / (windowMs / 1000));
  });
  await counter.stop();
  return { service, bare, queries };
}

/** @param atRest is called when so many subscribers wait. */
async function measureMemory(
  name: ObservedName,
  stage: Stage,
  databaseUrl: string,
  atRest: (count: number) => Promise<void>,
): Promise<IdleMemory> {
  await using server = await startObservedServer(name, databaseUrl);
  await using subscribers = startSubscribers(stage, server);
  await atRest(0);
  const none = await server.readMemory();
  await subscribers.add(streamsPerSession);
  await atRest(streamsPerSession);
  await subscribers.add(idleSubscribers - streamsPerSession);
  const first = await server.readMemory();
  await atRest(idleSubscribers);
  const grown: IdleGrowth[] = [];
  for (let before = first; grown.length < laterThousands; ) {
    await subscribers.add(idleSubscribers);
    const after = await server.readMemory();
    grown.push({
      rss: residentOf(after) - residentOf(before),
      heap: heapOf(after) - heapOf(before),
    });
    before = after;
  }
  return {
    firstRss: (first.rss - none.rss) / idleSubscribers,
    nextRss: median(grown.map(({ rss }) => rss)) / idleSubscribers,
    nextHeap: median(grown.map(({ heap }) => heap)) / idleSubscribers,
  };
}

interface IdleGrowth {
  readonly rss: number;
  readonly heap: number;
}

const residentOf = ({ rss, nursery }: ObservedMemory) => rss - nursery;
const heapOf = ({ heapUsed, external }: ObservedMemory) => heapUsed + external;

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
