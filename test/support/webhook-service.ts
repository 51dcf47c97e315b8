import { randomBytes } from 'node:crypto';
import { type Client, createClient } from '@connectrpc/connect';
import { WebhooksService } from '../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { type Config, readConfig } from '../../src/config.ts';
import type { DeliverySchedule } from '../../src/webhooks/index.ts';
import { createEventsClient, createTransport, type Wire } from './clients.ts';
import type { TestDatabase } from './test-database.ts';
import { startTestService, type TestService } from './test-service.ts';
import { type Receiver, startReceiver } from './webhook-receiver.ts';

/** A service that may send to loopback, and a receiver there. */
export interface WebhookService extends TestService {
  readonly receiver: Receiver;
  /** The RPCs of webhooks, with the key that may do everything unless another is given. */
  webhooks(secretKey?: string, wire?: Wire): Client<typeof WebhooksService>;
  /** Creates an endpoint that is sent to at a path of the receiver, and returns its id. */
  makeEndpoint(path: string, settings?: Record<string, unknown>): Promise<string>;
  /** Makes a workspace with nothing in it. */
  makeWorkspace(): Promise<string>;
  /** Creates events of a type in a workspace, one after another; returns their ids. */
  createEvents(workspaceId: string, types: readonly string[]): Promise<string[]>;
}

/** As the usual one, but soon over. */
export const shortSchedule: DeliverySchedule = {
  retryAfterMs: [50, 50],
  jitter: 0,
  leaseMs: 20_000,
  circuitFailures: 1_000,
  circuitAfterMs: 600_000,
  circuitWaitMs: { first: 100, most: 100 },
  retryAfterMsMax: 1_000,
  tellAfterMs: 3_600_000,
  disableAfterMs: 3_600_000,
};

export const encryptionKey = randomBytes(32);

/**
 * @param overrides of what it is told of webhooks.
 * @param others of what else it is told.
 */
export async function startWebhookService(
  overrides: Partial<Config['webhooks']> = {},
  shared?: TestDatabase,
  others: Partial<Config> = {},
): Promise<WebhookService> {
  const webhooksConfig: Config['webhooks'] = {
    ...readConfig({}).webhooks,
    encryptionKeys: [encryptionKey],
    allowCidrs: ['127.0.0.0/8'],
    schedule: shortSchedule,
    ...overrides,
  };
  const service = await startTestService({ ...others, webhooks: webhooksConfig }, shared);
  const receiver = await startReceiver();
  const webhooks = (secretKey = service.secretKey, wire: Wire = 'grpc') =>
    createClient(WebhooksService, createTransport(wire, service.baseUrl, secretKey));
  const events = createEventsClient(service);
  let made = 0;
  return {
    ...service,
    receiver,
    webhooks,

    async makeEndpoint(path, settings = {}) {
      const { endpoint } = await webhooks().createWebhookEndpoint({
        workspaceId: service.workspaceId,
        url: receiver.baseUrl + path,
        ...settings,
      });
      return endpoint?.id ?? '';
    },

    async makeWorkspace() {
      const id = `ws_hooks${made++}`;
      await service.app.workspaces.create(id, '');
      return id;
    },

    async createEvents(workspaceId, types) {
      const ids: string[] = [];
      for (const type of types) {
        const { event } = await events.createEvent({ workspaceId, type, payload: { of: type } });
        ids.push(event?.id ?? '');
      }
      return ids;
    },

    async stop() {
      await service.stop();
      await receiver.close();
    },
  };
}
