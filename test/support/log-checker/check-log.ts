import { createEventsClient } from '../clients.ts';
import { type OwnPostgres, startOwnPostgres } from '../own-postgres.ts';
import { type Acknowledgements, createAcknowledgements } from './acknowledgements.ts';
import { startDeadline } from './deadline.ts';
import { startIdOrderReader } from './id-order-reader.ts';
import { startPagingReader } from './paging-reader.ts';
import { createRandom, type Random } from './random.ts';
import type { Reader } from './reader.ts';
import { type RestartableService, startRestartableService } from './restartable-service.ts';
import { seedDatabase } from './seed.ts';
import { startStalls } from './stalls.ts';
import { readStoredLog, type StoredLog } from './stored-log.ts';
import { type Cut, startStreamReader } from './stream-reader.ts';
import { startTransactionWriter } from './transaction-writer.ts';
import { judge, type Verdict } from './verdict.ts';
import { startWriter } from './writer.ts';

/** What is ended with SIGKILL, and started again. */
export type Kill = 'first service' | 'second service' | 'postgres';

export interface LogCheckOptions {
  /** Acknowledged events after which the writers stop. */
  readonly events: number;
  readonly batchMax: number;
  /** In this order, at even distances of acknowledged events. */
  readonly kills: readonly Kill[];
  /** Acknowledged events between two stalls. */
  readonly stallEveryEvents: number;
  readonly nextCut: (random: Random) => Cut;
  readonly seed: number;
  /** The check fails when it has not come to its end by then. */
  readonly msMax: number;
}

export interface LogCheck {
  readonly acknowledged: number;
  readonly stored: StoredLog;
  /** Those that read the log, by name. */
  readonly readers: Readonly<Record<string, Verdict>>;
  /** The one that polls by the order of ids. */
  readonly idOrderReader: Verdict;
  readonly faults: {
    readonly kills: number;
    readonly stalls: number;
    readonly rolledBack: number;
    readonly terminated: number;
    readonly cuts: number;
  };
  readonly writingMs: number;
}

const workspaceId = 'ws_checked';
const writersCount = 8;

interface Scene {
  readonly postgres: OwnPostgres;
  readonly services: readonly [RestartableService, RestartableService];
  readonly secretKey: string;
  readonly random: Random;
}

/**
 * Writes a log through every fault that there is, while readers follow it, and holds what each of them
 * got against the table at the end. Two processes of the service and a PostgreSQL of its own, durable.
 */
export async function checkLog(options: LogCheckOptions): Promise<LogCheck> {
  await using cleanup = new AsyncDisposableStack();
  const postgres = await startOwnPostgres();
  cleanup.defer(() => postgres.remove());
  const secretKey = await seedDatabase(postgres.url, workspaceId);
  const first = await startRestartableService(postgres.url);
  cleanup.defer(() => first.stop());
  const second = await startRestartableService(postgres.url);
  cleanup.defer(() => second.stop());
  const random = createRandom(options.seed);
  return await run({ postgres, services: [first, second], secretKey, random }, options);
}

async function run(scene: Scene, options: LogCheckOptions): Promise<LogCheck> {
  const { postgres, services } = scene;
  const acknowledgements = createAcknowledgements();
  const readers = startReaders(scene, options);
  const idOrder = startIdOrderReader('by id', postgres.url, workspaceId);
  const late = startDeadline(options.msMax, () => describe(acknowledgements, readers));
  const writingOver = new AbortController();
  const stop = () => {
    writingOver.abort();
    acknowledgements.progress.close();
  };
  const failed = Promise.race([late.passed, ...readers.map(({ ended }) => ended.then(never))]);
  try {
    const written = await Promise.race([
      write(scene, acknowledgements, options, writingOver.signal),
      failed,
    ]);
    stop();
    await Promise.race([written.ended, failed]);

    const { idByKey } = acknowledgements;
    const stored = await readStoredLog(postgres.url, workspaceId, idByKey);
    const atEnd = readers.map(({ progress }) => progress.reached(stored.lastSequence));
    idOrder.stop();
    await Promise.race([Promise.all([...atEnd, idOrder.ended]), failed]);
    const cuts = readers.reduce((sum, reader) => sum + reader.cuts, 0);
    return {
      acknowledged: idByKey.size,
      stored,
      readers: Object.fromEntries(readers.map((one) => [one.name, judge(stored.lines, one.lines)])),
      idOrderReader: judge(stored.linesById, idOrder.lines),
      faults: { kills: options.kills.length, cuts, ...written.countFaults() },
      writingMs: written.ms,
    };
  } catch (error) {
    const lines = services.flatMap(({ errorLines }) => errorLines);
    throw new Error([`the log was not checked: ${error}`, ...lines].join('\n'), { cause: error });
  } finally {
    late.clear();
    stop();
    for (const reader of [...readers, idOrder]) reader.stop();
  }
}

/** Resolves when every writer has written its part and every kill is over; the rest ends by the signal. */
async function write(
  scene: Scene,
  acknowledgements: Acknowledgements,
  options: LogCheckOptions,
  signal: AbortSignal,
) {
  const { postgres, random } = scene;
  const beganAt = performance.now();
  const writers = startWriters(scene, acknowledgements, options, signal);
  const shared = { databaseUrl: postgres.url, workspaceId, random, signal };
  const transactions = startTransactionWriter({ ...shared, acknowledgements });
  const stalls = startStalls({
    ...shared,
    nextKey: () => writers[Math.floor(random() * writers.length)]?.nextKey() ?? '',
    progress: acknowledgements.progress,
    everyEvents: options.stallEveryEvents,
  });
  const kills = runKills(scene, acknowledgements, options, signal);
  await Promise.all([kills, ...writers.map(({ ended }) => ended)]);
  return {
    ms: performance.now() - beganAt,
    ended: Promise.all([transactions.ended, stalls.ended]),
    countFaults: () => ({
      stalls: stalls.count,
      rolledBack: transactions.rolledBack,
      terminated: transactions.terminated,
    }),
  };
}

function startReaders({ services, secretKey, random }: Scene, options: LogCheckOptions): Reader[] {
  const over = (wire: 'grpc' | 'connect json http/1.1') =>
    services.map(({ baseUrl }) => createEventsClient({ baseUrl, secretKey }, wire));
  const stream = (name: string, clients: ReturnType<typeof over>) =>
    startStreamReader({ name, clients, workspaceId, nextCut: () => options.nextCut(random) });
  const grpc = over('grpc');
  return [
    stream('gRPC, first process first', grpc),
    stream('gRPC, second process first', over('grpc').toReversed()),
    stream('Connect JSON over HTTP/1.1', over('connect json http/1.1')),
    startPagingReader({ name: 'pages', clients: grpc, workspaceId, random }),
  ];
}

function startWriters(
  { services, secretKey, random }: Scene,
  acknowledgements: Acknowledgements,
  { events, batchMax }: LogCheckOptions,
  signal: AbortSignal,
) {
  return Array.from({ length: writersCount }, (_, index) => {
    const { baseUrl } = services[index % 2 === 0 ? 0 : 1];
    return startWriter({
      name: `writer ${index}`,
      client: createEventsClient({ baseUrl, secretKey }),
      workspaceId,
      batchMax,
      acknowledgements,
      eventsMax: events,
      random,
      signal,
    });
  });
}

async function runKills(
  { postgres, services }: Scene,
  { progress }: Acknowledgements,
  { kills, events }: LogCheckOptions,
  signal: AbortSignal,
): Promise<void> {
  for (const [index, kill] of kills.entries()) {
    await progress.reached((events * (index + 1)) / (kills.length + 1));
    if (signal.aborted) return;
    if (kill === 'first service') await services[0].restart();
    else if (kill === 'second service') await services[1].restart();
    else {
      await postgres.kill();
      await postgres.start();
    }
  }
}

function describe({ idByKey }: Acknowledgements, readers: readonly Reader[]): string {
  const places = readers.map(({ name, progress }) => `${name} at ${progress.count}`);
  return [`${idByKey.size} acknowledged`, ...places].join(', ');
}

/** A reader ends when it is stopped, and that is the end of the check. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}
