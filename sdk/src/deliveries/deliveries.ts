import { type CreateOnceOptions, createOnceOptionNames } from '../create-once.ts';
import { requireString } from '../events/request-fields.ts';
import { type Names, refuseUnknownFields } from '../known-names.ts';
import { type ItemList, listPages, type PageQuery, pageQueryNames } from '../list-pages.ts';
import type { RequestOptions } from '../options.ts';
import { createReplay, type ReplayRange, replayRangeNames } from '../replays/create-replay.ts';
import type { Replay } from '../replays/replay-messages.ts';
import type { WebhooksDeps } from '../webhook-endpoints/webhook-endpoints.ts';
import {
  attemptFromMessage,
  type Delivery,
  type DeliveryState,
  type DeliveryWithAttempts,
  deliveryFromMessage,
  parseState,
} from './delivery-messages.ts';

/** Which deliveries to list. */
export interface DeliveryQuery extends PageQuery {
  /** The endpoint: whe_… */
  readonly endpointId: string;
  /** Only those of this event: evt_… */
  readonly eventId?: string | undefined;
  /** Only those in this state. */
  readonly state?: DeliveryState | undefined;
}

const deliveryQueryNames = {
  endpointId: true,
  eventId: true,
  state: true,
  ...pageQueryNames,
} satisfies Names<DeliveryQuery>;

/**
 * What was sent to endpoints, for as long as that is kept: `harbor.deliveries`. Rejects as `harbor.webhookEndpoints`
 * does; with NotFoundError for a delivery that does not exist, is kept no more, or is of an endpoint that the API key does not
 * cover.
 */
export class Deliveries {
  readonly #deps: WebhooksDeps;

  /** @internal */
  constructor(deps: WebhooksDeps) {
    this.#deps = deps;
  }

  /** Lists the deliveries of an endpoint, newest first. */
  list(query: DeliveryQuery, options: RequestOptions = {}): ItemList<Delivery> {
    const { client, call } = this.#deps;
    return listPages(
      {
        call,
        fields: deliveryQueryNames,
        send: (asked: DeliveryQuery, page) => {
          const request = {
            ...page,
            endpointId: requireString('endpointId', asked.endpointId),
            eventId: asked.eventId === undefined ? '' : requireString('eventId', asked.eventId),
            state: parseState(asked.state),
          };
          return (attempt) => client.listDeliveries(request, attempt);
        },
        itemsOf: ({ deliveries }) => deliveries.map(deliveryFromMessage),
      },
      query,
      options,
    );
  }

  /** Retrieves a delivery with its requests. */
  async retrieve(id: string, options: RequestOptions = {}): Promise<DeliveryWithAttempts> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.retrieveDelivery(request, attempt), options);
    return {
      ...deliveryFromMessage(answer.delivery),
      requests: answer.attempts.map(attemptFromMessage),
    };
  }

  /**
   * Sends a delivery once more, at once, whatever has become of it; of one that waits, the next attempt comes now. Needs
   * events:read besides. Rejects with a HarborError of the reason WEBHOOK_ENDPOINT_NOT_ENABLED while the endpoint is paused or
   * disabled.
   */
  async retry(id: string, options: RequestOptions = {}): Promise<Delivery> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.retryDelivery(request, attempt), options);
    return deliveryFromMessage(answer.delivery);
  }

  /** Sends again what has failed of an endpoint in a range of its log: the replay that does. Needs events:read besides. */
  async retryFailed(range: ReplayRange, options: CreateOnceOptions = {}): Promise<Replay> {
    refuseUnknownFields(range, replayRangeNames, createOnceOptionNames);
    return createReplay(this.#deps, { ...range, onlyFailed: true }, options);
  }
}
