import { createClient } from '@connectrpc/connect';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createCaller } from './caller.ts';
import { readBaseUrl } from './environment.ts';
import { Events } from './events/events.ts';
import { type HarborOptions, parseOptions } from './options.ts';
import { createErrorTranslation } from './to-harbor-error.ts';
import { createTransport } from './transport.ts';
import { wait } from './wait.ts';
import { Webhooks } from './webhooks/webhooks.ts';

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
    this.events = new Events({
      ...deps,
      client: createClient(EventsService, transport),
      call: createCaller({ ...deps, maxRetries: settings.maxRetries }),
      payloadKeys: settings.payloadKeys,
      payloadIntegers: settings.payloadIntegers,
      idleMs: streamIdleMs,
    });
  }
}
