import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { ReplayState } from '../../gen/typescript/harbor/webhooks/v1/replay_pb.ts';
import { WebhooksService } from '../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { createTransport } from '../support/clients.ts';
import { fillLog } from '../support/filled-log.ts';
import { startRestartableService } from '../support/log-checker/restartable-service.ts';
import { seedDatabase } from '../support/log-checker/seed.ts';
import { range } from '../support/subscriber.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { type Received, type Receiver, startReceiver } from '../support/webhook-receiver.ts';

const workspaceId = 'ws_replayed';
const entry = join(import.meta.dirname, '../support/webhook-check/hasty-service.ts');
const events = 2_000;
const cutOffMin = 10;

const sequenceOf = ({ sequence }: Received) => sequence;

/**
 * Lets a path answer until it was sent so many requests, and then every other one alone, until some are on their way: of
 * windows that a kill cuts off, a part is recorded.
 */
async function holdAfter(receiver: Receiver, path: string, count: number): Promise<void> {
  await receiver.waitFor(path, count, 60_000);
  receiver.answer = ({ sequence }) => (sequence % 2 === 0 ? 204 : 'nothing');
  await expect
    .poll(() => receiver.open.get(path) ?? 0, { timeout: 20_000 })
    .toBeGreaterThanOrEqual(cutOffMin);
}

test('a replay survives kill -9 of its process again and again: nothing of it is missing, and nothing that was recorded comes again', async () => {
  await using cleanup = new AsyncDisposableStack();
  const receiver = await startReceiver();
  cleanup.defer(() => receiver.close());
  const database = await createTestDatabase();
  cleanup.defer(() => database.drop());
  const secretKey = await seedDatabase(database.url, workspaceId);
  await fillLog(
    database,
    workspaceId,
    range(1, events).map(() => ({ type: 'order.paid' })),
  );
  const env = {
    HARBOR_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
  };
  const service = await startRestartableService(database.url, env, entry);
  cleanup.defer(() => service.stop());
  const webhooks = createClient(
    WebhooksService,
    createTransport('grpc', service.baseUrl, secretKey),
  );
  const { endpoint } = await webhooks.createWebhookEndpoint({
    workspaceId,
    url: `${receiver.baseUrl}/replayed`,
    maxInFlight: 20,
    timeoutMs: 1_000,
  });
  const { replay } = await webhooks.createReplay({ endpointId: endpoint?.id ?? '' });
  const id = replay?.id ?? '';

  /** What came, and what is on disk of it, when the process was dead. */
  const kills: { readonly received: number; readonly recorded: readonly number[] }[] = [];
  for (const count of [200, 800, 1_500]) {
    await holdAfter(receiver, '/replayed', count);
    await service.stop();
    const rows = await database.query<{ sequence: number }>(
      `select sequence::int from webhook_attempts where outcome = 'succeeded'`,
    );
    kills.push({
      received: receiver.received.length,
      recorded: rows.map(({ sequence }) => sequence),
    });
    receiver.answer = () => 204;
    await service.restart();
  }
  await expect
    .poll(async () => (await webhooks.retrieveReplay({ id })).replay, { timeout: 60_000 })
    .toMatchObject({
      state: ReplayState.DONE,
      succeeded: BigInt(events),
      failed: 0n,
      unfinished: 0n,
    });

  expect([...new Set(receiver.received.map(sequenceOf))].sort((a, b) => a - b)).toEqual(
    range(1, events),
  );
  for (const { received, recorded } of kills) {
    expect(recorded.length).toBeGreaterThan(0);
    const later = new Set(receiver.received.slice(received).map(sequenceOf));
    expect(recorded.filter((sequence) => later.has(sequence))).toEqual([]);
  }
  // What was cut off comes again as what it was.
  const bySequence = [...Map.groupBy(receiver.received, sequenceOf).values()];
  expect(bySequence.map(identitiesOf).filter((identities) => identities.size > 1)).toEqual([]);
  expect(new Set(receiver.received.map(({ headers }) => headers['harbor-replay']))).toEqual(
    new Set([id]),
  );
}, 120_000);

function identitiesOf(requests: readonly Received[]): Set<string> {
  return new Set(requests.map((one) => `${one.id} ${one.headers['harbor-delivery']}`));
}
