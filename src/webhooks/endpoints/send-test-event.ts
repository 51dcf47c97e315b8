import type { Event } from '../../events/index.ts';
import { newId, newUuid, uuidOf } from '../../type-id.ts';
import type { Courier } from '../delivery/courier.ts';
import type { Delivery, Result } from '../delivery/delivery.ts';
import type { Target } from '../delivery/target.ts';
import { EncryptionKeyMissing } from '../signing/encryption.ts';
import { WebhookEndpointBusy, WebhookEndpointNotFound } from '../webhook-errors.ts';
import type { TestRequestStore } from './test-request-store.ts';
import type { WebhookEndpoint } from './webhook-endpoint.ts';

/**
 * Sends an endpoint one signed request with an event that is in no log, whatever state the endpoint is in. Nothing of it is
 * recorded; it takes one of the endpoint's places in flight, and is in the trace of whoever asks for it.
 *
 * @throws WebhookEndpointNotFound, WebhookEndpointBusy, EncryptionKeyMissing, DatabaseUnavailable
 */
export type SendTestEvent = (
  endpoint: WebhookEndpoint,
  traceContext: string | undefined,
) => Promise<Result>;

export interface SendTestEventDeps {
  readonly courier: Courier;
  /** The endpoint as those know it who send to it. */
  readonly findTarget: (endpointUuid: string) => Promise<Target | undefined>;
  readonly store: TestRequestStore;
  readonly onError: (error: unknown) => void;
}

/** Beside the request's own time: what the rest takes. */
const leaseMsMore = 10_000;

export function createSendTestEvent(deps: SendTestEventDeps): SendTestEvent {
  const { courier, findTarget, store, onError } = deps;
  return async (endpoint, traceContext) => {
    const target = await findTarget(uuidOf(endpoint.id));
    if (target === undefined) throw new WebhookEndpointNotFound(endpoint.id);
    if (!courier.canSend(target)) throw missingKey();
    const windowId = newUuid();
    const leaseMs = target.timeoutMs + leaseMsMore;
    if (!(await store.begin(target.id, windowId, leaseMs))) {
      throw new WebhookEndpointBusy(endpoint.id);
    }
    try {
      const event: Event = { ...toTestEvent(endpoint), traceContext };
      const delivery = toTestDelivery(target, event, windowId);
      const result = await courier.send(delivery, { target, replayId: undefined }, event);
      if (result === undefined) throw missingKey();
      return result;
    } finally {
      await store.end(windowId).catch(onError);
    }
  };
}

function toTestEvent({ id, workspaceId, url }: WebhookEndpoint): Event {
  const payload = { endpoint_id: id, url };
  return {
    id: newId('evt'),
    workspaceId,
    type: 'harbor.webhook_endpoint.test',
    payload,
    payloadJson: JSON.stringify(payload),
    createdAt: new Date(),
    sequence: 0,
  };
}

function toTestDelivery(target: Target, event: Event, windowId: string): Delivery {
  return {
    windowId,
    place: 0,
    workspaceId: target.workspaceId,
    cursorId: target.id,
    endpointId: target.id,
    eventId: uuidOf(event.id),
    lane: undefined,
    sequence: event.sequence,
    previousSequence: 0,
    attempt: 1,
    tries: 0,
    isProbe: false,
  };
}

function missingKey(): EncryptionKeyMissing {
  return new EncryptionKeyMissing(
    'the key by which the secrets of this endpoint were encrypted is not among those of HARBOR_ENCRYPTION_KEY',
  );
}
