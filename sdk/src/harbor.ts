import { createClient } from '@connectrpc/connect';
import { ApiKeysService } from '../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { WebhooksService } from '../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { WorkspacesService } from '../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import { ApiKeys } from './api-keys/api-keys.ts';
import { CallerKey } from './api-keys/caller-key.ts';
import { createCaller } from './caller.ts';
import { Deliveries } from './deliveries/deliveries.ts';
import { readBaseUrl } from './environment.ts';
import { Events } from './events/events.ts';
import { type HarborOptions, parseOptions } from './options.ts';
import { Replays } from './replays/replays.ts';
import { createErrorTranslation } from './to-harbor-error.ts';
import { createTransport } from './transport.ts';
import { wait } from './wait.ts';
import { WebhookEndpoints } from './webhook-endpoints/webhook-endpoints.ts';
import { Webhooks } from './webhooks/webhooks.ts';
import { Workspaces } from './workspaces/workspaces.ts';

/** Two heartbeats of the service, which are 15 s apart, and as much again for the way. */
const streamIdleMs = 45_000;

/**
 * A client of Harbor Events. It holds no connection and needs no closing; make one and share it.
 *
 * ```ts
 * const harbor = new Harbor({ secretKey: process.env.HARBOR_SECRET_KEY });
 * ```
 */
export class Harbor {
  /** Creates events, reads them back, and follows them as they are recorded. */
  readonly events: Events;
  /** Verifies and signs webhooks, with the payload keys of this client. It calls nothing. */
  readonly webhooks: Webhooks;
  /** Where the events of workspaces are sent, signed. */
  readonly webhookEndpoints: WebhookEndpoints;
  /** What was sent to endpoints, and what became of it. */
  readonly deliveries: Deliveries;
  /** Sends past events to endpoints again. */
  readonly replays: Replays;
  /** The keys that callers of the service have, and what they allow. */
  readonly apiKeys: ApiKeys;
  /** The API key of this client. */
  readonly caller: CallerKey;
  /** The tenants that events belong to. */
  readonly workspaces: Workspaces;

  /** Throws InvalidOptionError, which names the option and its rule. Sends nothing. */
  constructor(options: HarborOptions) {
    const settings = parseOptions(options, readBaseUrl());
    const transport = createTransport(settings);
    const deps = {
      timeoutMs: settings.timeoutMs,
      random: Math.random,
      wait,
      toHarborError: createErrorTranslation(settings),
    };
    this.webhooks = new Webhooks(settings.payloadKeys);
    const call = createCaller({ ...deps, maxRetries: settings.maxRetries });
    this.events = new Events({
      ...deps,
      client: createClient(EventsService, transport),
      call,
      payloadKeys: settings.payloadKeys,
      payloadIntegers: settings.payloadIntegers,
      idleMs: streamIdleMs,
    });
    const webhooks = { client: createClient(WebhooksService, transport), call };
    this.webhookEndpoints = new WebhookEndpoints(webhooks);
    this.deliveries = new Deliveries(webhooks);
    this.replays = new Replays(webhooks);
    const apiKeys = { client: createClient(ApiKeysService, transport), call };
    this.apiKeys = new ApiKeys(apiKeys);
    this.caller = new CallerKey(apiKeys);
    this.workspaces = new Workspaces({ client: createClient(WorkspacesService, transport), call });
  }
}
