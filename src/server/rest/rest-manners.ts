import type { DescMethod } from '@bufbuild/protobuf';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { WebhooksService } from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';

/** What HTTP wants of an RPC's answer and the contract does not say. */
export interface RestManner {
  readonly status: number;
  /** Of an answer, from the RPC's response in ProtoJSON. */
  // biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, each known to its RPC
  readonly headersOf: (response: any) => Record<string, string>;
}

const plain: RestManner = { status: 200, headersOf: () => ({}) };

const manners = new Map<DescMethod, RestManner>([
  [
    EventsService.method.createEvent,
    {
      status: 201,
      headersOf: ({ event, replayed }) => ({
        location: `/v1/events/${event.id}`,
        ...(replayed && { 'idempotent-replayed': 'true' }),
      }),
    },
  ],
  [
    WebhooksService.method.createWebhookEndpoint,
    {
      status: 201,
      headersOf: ({ endpoint, replayed }) => ({
        location: `/v1/webhook_endpoints/${endpoint.id}`,
        ...(replayed && { 'idempotent-replayed': 'true' }),
      }),
    },
  ],
]);

export function mannerOf(rpc: DescMethod): RestManner {
  return manners.get(rpc) ?? plain;
}
