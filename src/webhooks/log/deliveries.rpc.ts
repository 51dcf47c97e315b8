import type { ServiceImpl } from '@connectrpc/connect';
import type { WebhooksService } from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { type Caller, getCaller } from '../../api-keys/index.ts';
import { decodePageToken, encodePageToken, pageSizeOf } from '../../page-token.ts';
import { uuidOf } from '../../type-id.ts';
import { assertMayRead, type GetEndpoint } from '../endpoints/get-endpoint.rpc.ts';
import type { OnTouched } from '../endpoints/on-touched.ts';
import type { WebhookEndpoint } from '../endpoints/webhook-endpoint.ts';
import {
  DeliveryNotFound,
  WebhookEndpointNotEnabled,
  WebhookEndpointNotFound,
} from '../webhook-errors.ts';
import { parseDeliveryId, toDeliveryId } from './delivery-id.ts';
import type { DeliveryLogStore, DeliveryRecord } from './delivery-log-store.ts';
import { toAttemptMessage, toDeliveryMessage, toState } from './delivery-message.rpc.ts';

export interface DeliveriesRpcDeps {
  readonly store: DeliveryLogStore;
  readonly getEndpoint: GetEndpoint;
  readonly onTouched: OnTouched;
}

type DeliveryRpcs = Pick<
  ServiceImpl<typeof WebhooksService>,
  'listDeliveries' | 'retrieveDelivery' | 'retryDelivery'
>;

/** The RPCs of harbor.webhooks.v1.WebhooksService about deliveries. */
export function createDeliveriesRpc(deps: DeliveriesRpcDeps): DeliveryRpcs {
  const { store, getEndpoint, onTouched } = deps;

  /** The delivery, where its endpoint exists for the caller. @throws DeliveryNotFound */
  async function get(caller: Caller, id: string) {
    const key = parseDeliveryId(id);
    const delivery = key && (await store.find(key));
    if (delivery === undefined) throw new DeliveryNotFound(id);
    const endpoint = await findEndpoint(caller, delivery);
    if (endpoint === undefined) throw new DeliveryNotFound(id);
    return { delivery, endpoint };
  }

  async function findEndpoint(
    caller: Caller,
    { endpointId }: DeliveryRecord,
  ): Promise<WebhookEndpoint | undefined> {
    try {
      return await getEndpoint(caller, endpointId);
    } catch (error) {
      if (error instanceof WebhookEndpointNotFound) return undefined;
      throw error;
    }
  }

  return {
    async listDeliveries({ endpointId, eventId, state, pageSize, pageToken }, { values }) {
      const { workspaceId } = await getEndpoint(getCaller(values), endpointId);
      const list = `webhook_deliveries ${endpointId} ${eventId} ${state}`;
      const page = await store.list({
        endpointId,
        workspaceId,
        eventId: eventId === '' ? undefined : eventId,
        state: toState(state),
        before: decodePageToken(list, pageToken, parseDeliveryId),
        limit: pageSizeOf(pageSize),
      });
      return {
        deliveries: page.deliveries.map(toDeliveryMessage),
        nextPageToken:
          page.next === undefined ? '' : encodePageToken(list, toDeliveryId(page.next)),
      };
    },

    async retrieveDelivery({ id }, { values }) {
      const { delivery } = await get(getCaller(values), id);
      const attempts = await store.readAttempts(delivery.key);
      return {
        delivery: toDeliveryMessage(delivery),
        attempts: attempts.map(toAttemptMessage),
      };
    },

    async retryDelivery({ id }, { values }) {
      const caller = getCaller(values);
      assertMayRead(caller);
      const { delivery, endpoint } = await get(caller, id);
      if (endpoint.status !== 'enabled') throw new WebhookEndpointNotEnabled(endpoint.id);
      await store.retry(delivery.key);
      onTouched(uuidOf(endpoint.id));
      return { delivery: toDeliveryMessage((await get(caller, id)).delivery) };
    },
  };
}
