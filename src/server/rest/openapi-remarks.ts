import type { DescMethod } from '@bufbuild/protobuf';
import { ApiKeysService } from '../../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { WebhooksService } from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { WorkspacesService } from '../../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import { pageSizeOf } from '../../page-token.ts';
import { rateLimitHeaders } from './openapi-components.ts';
import type { Schema } from './openapi-values.ts';

/** What `openapi.json` says of an RPC by REST and the contract does not. */
export interface Remarks {
  /** By default the name of the RPC. */
  readonly operationId?: string;
  readonly text?: string;
  readonly security?: readonly object[];
  /** Beside the fields of the request. */
  readonly parameters?: readonly object[];
  /** What the answer is. */
  readonly answer?: string;
  readonly answerHeaders?: Readonly<Record<string, object>>;
  /** In place of JSON. */
  readonly answerContent?: Readonly<Record<string, object>>;
  /** Of errors, beside those that every operation may answer with. */
  readonly statuses?: readonly string[];
}

function replayed(what: string) {
  return {
    'Idempotent-Replayed': {
      description: `"true" when an earlier request created ${what}.`,
      schema: { type: 'string', enum: ['true'] },
    },
  };
}

function madeAt(what: string) {
  return {
    Location: {
      description: `Path of ${what}.`,
      schema: { type: 'string', format: 'uri-reference' },
    },
  };
}

const remarks = new Map<DescMethod, Remarks>([
  [
    EventsService.method.createEvent,
    {
      answerHeaders: {
        ...replayed('the event'),
        ...madeAt('the event, /v1/events/evt_…'),
        ...rateLimitHeaders,
      },
      statuses: ['422'],
    },
  ],
  [
    WebhooksService.method.createWebhookEndpoint,
    {
      answerHeaders: {
        ...replayed('the endpoint'),
        ...madeAt('the endpoint, /v1/webhook_endpoints/whe_…'),
      },
    },
  ],
  [
    WebhooksService.method.createReplay,
    {
      answerHeaders: { ...replayed('the replay'), ...madeAt('the replay, /v1/replays/rpl_…') },
    },
  ],
  [
    WebhooksService.method.retryDeliveries,
    { answerHeaders: madeAt('the replay, /v1/replays/rpl_…') },
  ],
  [
    ApiKeysService.method.createApiKey,
    {
      answerHeaders: { ...replayed('the key'), ...madeAt('the key, /v1/api_keys/key_…') },
    },
  ],
  [
    WorkspacesService.method.createWorkspace,
    { answerHeaders: madeAt('the workspace, /v1/workspaces/ws_…') },
  ],
  [
    EventsService.method.subscribeEvents,
    {
      operationId: 'streamEvents',
      text:
        'By REST they come as Server-Sent Events: an event of the log has its JSON as data and its sequence as ' +
        'id; caught_up comes once, when everything that was there has been sent; problem comes last. Without ' +
        'after_sequence and Last-Event-ID the stream begins now.',
      security: [{ apiKey: [] }, { accessToken: [] }],
      parameters: [
        {
          name: 'Last-Event-ID',
          in: 'header',
          description: 'The id of the last message that arrived; counts more than after_sequence.',
          schema: { type: 'string', pattern: '^[0-9]{1,15}$' },
        },
      ],
      answer: 'The stream.',
      answerContent: { 'text/event-stream': { schema: { type: 'string' } } },
    },
  ],
]);

export function remarksOn(rpc: DescMethod): Remarks {
  return remarks.get(rpc) ?? {};
}

/** What is true of a parameter in every RPC, by its name. */
export const parameterRemarks = new Map<string, Schema>([
  ['page_size', { default: pageSizeOf(0) }],
  ['page_token', { pattern: '^[A-Za-z0-9_-]*$' }],
  ['order', { default: 'asc' }],
]);

/** Blanks at the ends of a header are none of its value. */
export const headerText: Schema = { minLength: 1, pattern: '^[!-~](?:[ -~]*[!-~])?$' };
