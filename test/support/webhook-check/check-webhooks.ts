import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { WebhookOrdering } from '../../../gen/typescript/harbor/webhooks/v1/webhook_endpoint_pb.ts';
import { WebhooksService } from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { createEventsClient, createTransport } from '../clients.ts';
import { startDeadline } from '../log-checker/deadline.ts';
import { createRandom, type Random } from '../log-checker/random.ts';
import {
  type RestartableService,
  startRestartableService,
} from '../log-checker/restartable-service.ts';
import { seedDatabase } from '../log-checker/seed.ts';
import { type OwnPostgres, startOwnPostgres } from '../own-postgres.ts';
import type { Arrival } from './arrivals.ts';
import { createEvents, rareType } from './event-source.ts';
import { type FlappingReceiver, startFlappingReceiver } from './flapping-receiver.ts';
import { type LossyLink, startLossyLink } from './lossy-link.ts';
import {
  type CheckedEndpoint,
  type EndpointVerdict,
  judge,
  readLog,
  readMiscounts,
} from './verdict.ts';

/** What is ended with SIGKILL, and started again. `both`: while the receiver answers nothing. */
export type Kill = 'first service' | 'second service' | 'both' | 'postgres';

export interface WebhookCheckOptions {
  readonly events: number;
  /** In this order, at even distances of deliveries. */
  readonly kills: readonly Kill[];
  readonly seed: number;
  /** The check fails when it has not come to its end by then. */
  readonly msMax: number;
}

export interface WebhookCheck {
  readonly deliveries: number;
  readonly endpoints: Readonly<Record<string, EndpointVerdict>>;
  readonly requests: number;
  readonly misbehaved: number;
  /** Requests that were on their way in processes when these were killed, and what became of their deliveries. */
  readonly cutOff: { readonly requests: number; readonly accepted: number };
  /** Answers of PostgreSQL that were lost, kills apart. */
  readonly lost: number;
  /** Rows that tell of deliveries in flight or waiting, at the end. */
  readonly left: number;
  /** Endpoints whose deliveries were not counted once each. */
  readonly miscounts: readonly string[];
  readonly ms: number;
}

const workspaceId = 'ws_checked';
const entry = join(import.meta.dirname, 'hasty-service.ts');
/** Requests that a kill of both cuts off at least. */
const cutOffMin = 20;

/** 14 without an order, 3 that keep the order of subjects, 3 that keep the log's. */
const endpoints: readonly CheckedEndpoint[] = Array.from({ length: 20 }, (_, n) => {
  const ordering = n < 14 ? 'none' : n < 17 ? 'subject' : 'workspace';
  // One at a time, with failures between: what keeps the log's order is sent a tenth.
  return { path: `/${ordering}/${n}`, ordering, isChoosy: ordering === 'workspace' };
});
const orderings = {
  none: WebhookOrdering.NONE,
  subject: WebhookOrdering.SUBJECT,
  workspace: WebhookOrdering.WORKSPACE,
};

interface Scene {
  readonly postgres: OwnPostgres;
  readonly link: LossyLink;
  readonly services: readonly [RestartableService, RestartableService];
  readonly receiver: FlappingReceiver;
  readonly secretKey: string;
  readonly random: Random;
}

/**
 * Delivers a log to endpoints that flap, through every fault that there is, and holds what each of them has accepted
 * against the table at the end. Two processes of the service and a PostgreSQL of its own, durable.
 */
export async function checkWebhooks(options: WebhookCheckOptions): Promise<WebhookCheck> {
  await using cleanup = new AsyncDisposableStack();
  const random = createRandom(options.seed);
  const receiver = await startFlappingReceiver(random);
  cleanup.defer(() => receiver.close());
  const postgres = await startOwnPostgres();
  cleanup.defer(() => postgres.remove());
  const link = await startLossyLink(postgres.url, createRandom(options.seed));
  cleanup.defer(() => link.stop());
  const secretKey = await seedDatabase(postgres.url, workspaceId);
  const env = {
    HARBOR_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
  };
  const start = async () => {
    const service = await startRestartableService(link.url, env, entry);
    cleanup.defer(() => service.stop());
    return service;
  };
  const scene: Scene = {
    postgres,
    link,
    services: [await start(), await start()],
    receiver,
    secretKey,
    random,
  };
  await makeEndpoints(scene);
  link.begin();
  return await run(scene, options);
}

async function makeEndpoints({ services, secretKey, receiver }: Scene): Promise<void> {
  const transport = createTransport('grpc', services[0].baseUrl, secretKey);
  const client = createClient(WebhooksService, transport);
  for (const { path, ordering, isChoosy } of endpoints) {
    await client.createWebhookEndpoint({
      workspaceId,
      url: receiver.baseUrl + path,
      typePatterns: isChoosy ? [rareType] : [],
      ordering: orderings[ordering],
      maxInFlight: 50,
      timeoutMs: 1_000,
    });
  }
}

async function run(scene: Scene, options: WebhookCheckOptions): Promise<WebhookCheck> {
  const { receiver, services } = scene;
  const beganAt = performance.now();
  const total = countDeliveries(options.events);
  const late = startDeadline(
    options.msMax,
    () => `${receiver.book.progress.count} of ${total} accepted`,
  );
  try {
    const [cutOff] = await Promise.race([
      Promise.all([runKills(scene, options, total), create(scene, options, total)]),
      late.passed,
    ]);
    await Promise.race([receiver.book.progress.reached(total), late.passed]);
    await Promise.race([untilNothingIsLeft(scene.postgres), late.passed]);
    return await tell(scene, cutOff, performance.now() - beganAt);
  } catch (error) {
    const lines = services.flatMap(({ errorLines }) => errorLines.slice(0, 20));
    throw new Error([`webhooks were not checked: ${error}`, ...lines].join('\n'), { cause: error });
  } finally {
    late.clear();
  }
}

function countDeliveries(events: number): number {
  const rare = Math.ceil(events / 10);
  return endpoints.reduce((sum, { isChoosy }) => sum + (isChoosy ? rare : events), 0);
}

/** The log grows no faster than it is delivered, so that every kill finds both at work. */
function create(scene: Scene, { events }: WebhookCheckOptions, total: number): Promise<void> {
  const { services, secretKey, receiver, random } = scene;
  const ahead = events / 20;
  return createEvents({
    clients: services.map(({ baseUrl }) => createEventsClient({ baseUrl, secretKey })),
    workspaceId,
    events,
    random,
    mayFollow: (created) =>
      receiver.book.progress.reached(Math.floor((total * Math.max(0, created - ahead)) / events)),
  });
}

/** Returns what was cut off. */
async function runKills(
  { postgres, link, services, receiver }: Scene,
  { kills }: WebhookCheckOptions,
  total: number,
): Promise<Arrival[]> {
  const cutOff: Arrival[] = [];
  for (const [index, kill] of kills.entries()) {
    await receiver.book.progress.reached((total * (index + 1)) / (kills.length + 1));
    link.pause();
    if (kill === 'first service') await services[0].restart();
    else if (kill === 'second service') await services[1].restart();
    else if (kill === 'postgres') {
      await postgres.kill();
      await postgres.start();
    } else {
      await receiver.holdUntil(cutOffMin);
      await Promise.all(services.map((service) => service.stop()));
      cutOff.push(...receiver.release());
      await Promise.all(services.map((service) => service.restart()));
    }
    link.begin();
  }
  return cutOff;
}

async function untilNothingIsLeft(postgres: OwnPostgres): Promise<void> {
  while ((await countLeft(postgres)) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
}

async function countLeft({ query }: OwnPostgres): Promise<number> {
  const [row] = await query<{ count: number }>(`select (select count(*) from webhook_windows)::int
    + (select count(*) from webhook_work)::int as count`);
  return row?.count ?? Number.NaN;
}

async function tell(
  { postgres, link, receiver: { book, misbehaved } }: Scene,
  cutOff: readonly Arrival[],
  ms: number,
): Promise<WebhookCheck> {
  const log = await readLog(postgres);
  const verdicts = endpoints.map((one) => [one.path, judge(one, log, book.at(one.path))] as const);
  const accepted = cutOff.filter(({ path, sequence }) => book.at(path).accepted.has(sequence));
  return {
    deliveries: book.progress.count,
    endpoints: Object.fromEntries(verdicts),
    requests: endpoints.reduce((sum, { path }) => sum + book.at(path).requests, 0),
    misbehaved,
    cutOff: { requests: cutOff.length, accepted: accepted.length },
    lost: link.lost,
    left: await countLeft(postgres),
    miscounts: await readMiscounts(postgres),
    ms,
  };
}
