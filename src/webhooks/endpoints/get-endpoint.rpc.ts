import type { ContextValues } from '@connectrpc/connect';
import { type Caller, getActor, hasScope, ScopeMissing } from '../../api-keys/index.ts';
import { WebhookEndpointNotFound } from '../webhook-errors.ts';
import type { EndpointStore } from './endpoint-store.ts';
import type { ChangeOptions } from './held-endpoint-store.ts';
import { coversEndpoint, type WebhookEndpoint } from './webhook-endpoint.ts';

/** The endpoint, where it exists for the caller. @throws WebhookEndpointNotFound, DatabaseUnavailable */
export type GetEndpoint = (caller: Caller, id: string) => Promise<WebhookEndpoint>;

export function createGetEndpoint(store: Pick<EndpointStore, 'read'>): GetEndpoint {
  return async (caller, id) => {
    const [endpoint] = await store.read([id]);
    if (endpoint === undefined || !coversEndpoint(caller, endpoint)) {
      throw new WebhookEndpointNotFound(id);
    }
    return endpoint;
  };
}

/** Whoever has events sent to a URL can read them there. @throws ScopeMissing */
export function assertMayRead(caller: Caller): void {
  if (!hasScope(caller, 'events:read')) throw new ScopeMissing('events:read');
}

/** A change is made only of an endpoint that exists for the caller, as it is when its row is held. */
export function toChangeOptions(values: ContextValues, id: string): Required<ChangeOptions> {
  const by = getActor(values);
  return {
    by,
    check(endpoint) {
      if (!coversEndpoint(by.caller, endpoint)) throw new WebhookEndpointNotFound(id);
    },
  };
}
