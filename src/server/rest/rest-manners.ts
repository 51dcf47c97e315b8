import type { DescMethod } from '@bufbuild/protobuf';
import { ApiKeysService } from '../../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { WebhooksService } from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { WorkspacesService } from '../../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';

/** An RPC's response in ProtoJSON. */
// biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, each known to its RPC
type Response = any;

/** What HTTP wants of an RPC's answer and the contract does not say. */
export interface RestManner {
  /** Each that an answer may have. */
  readonly statuses: readonly number[];
  readonly statusOf: (response: Response) => number;
  readonly headersOf: (response: Response) => Record<string, string>;
}

const plain: RestManner = { statuses: [200], statusOf: () => 200, headersOf: () => ({}) };

/** 201 with the path of what was made, and whether it was made before; 200 where nothing was, as by a dry run. */
function creating(collection: string, noun: string, statuses: readonly number[]): RestManner {
  return {
    statuses,
    statusOf: (response) => (response[noun] === undefined ? 200 : 201),
    headersOf: (response) => ({
      ...(response[noun] !== undefined && { location: `${collection}/${response[noun].id}` }),
      ...(response.replayed && { 'idempotent-replayed': 'true' }),
    }),
  };
}

const manners = new Map<DescMethod, RestManner>([
  [EventsService.method.createEvent, creating('/v1/events', 'event', [201])],
  [ApiKeysService.method.createApiKey, creating('/v1/api_keys', 'api_key', [201])],
  [WorkspacesService.method.createWorkspace, creating('/v1/workspaces', 'workspace', [201])],
  [
    WebhooksService.method.createWebhookEndpoint,
    creating('/v1/webhook_endpoints', 'endpoint', [201]),
  ],
  [WebhooksService.method.createReplay, creating('/v1/replays', 'replay', [201, 200])],
  [WebhooksService.method.retryDeliveries, creating('/v1/replays', 'replay', [201])],
]);

export function mannerOf(rpc: DescMethod): RestManner {
  return manners.get(rpc) ?? plain;
}
