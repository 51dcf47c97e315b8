import { createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { AuditService } from '../gen/typescript/harbor/audit/v1/audit_service_pb.ts';
import { WorkspacesService } from '../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import { encodePageToken } from '../src/page-token.ts';
import { newId } from '../src/type-id.ts';
import { createTransport } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { startWebhookService, type WebhookService } from './support/webhook-service.ts';

const workspaceId = 'ws_test';
let service: WebhookService;
let endpointId: string;
beforeAll(async () => {
  service = await startWebhookService();
  endpointId = await service.makeEndpoint('/page-tokens');
});
afterAll(() => service.stop());

const transport = () => createTransport('grpc', service.baseUrl, service.secretKey);

/** Each list whose pages are cut by ids: how its tokens call it, and how it is asked. */
const lists: readonly (readonly [string, () => string, (token: string) => Promise<unknown>])[] = [
  [
    'audit records',
    () => JSON.stringify(['audit_records', undefined, undefined]),
    (pageToken) => createClient(AuditService, transport()).listAuditRecords({ pageToken }),
  ],
  [
    'API keys',
    () => 'api_keys',
    (pageToken) => createClient(ApiKeysService, transport()).listApiKeys({ pageToken }),
  ],
  [
    'workspaces',
    () => 'workspaces',
    (pageToken) => createClient(WorkspacesService, transport()).listWorkspaces({ pageToken }),
  ],
  [
    'webhook endpoints',
    () => `webhook_endpoints ${workspaceId}`,
    (pageToken) => service.webhooks().listWebhookEndpoints({ workspaceId, pageToken }),
  ],
  [
    'deliveries',
    () => `webhook_deliveries ${endpointId}  0`,
    (pageToken) => service.webhooks().listDeliveries({ endpointId, pageToken }),
  ],
  [
    'replays',
    () => `webhook_replays ${endpointId}`,
    (pageToken) => service.webhooks().listReplays({ endpointId, pageToken }),
  ],
];

// Its checksum is no secret: anybody can make a token that fits.
describe.each(lists)('a page token of %s that somebody else has made', (_what, list, ask) => {
  test.each([
    ['nothing', ''],
    ['U+0000, which ends the connection to PostgreSQL', '\0'],
    ['an id that is cut', 'ws_'],
    ['an id of something else', newId('evt')],
  ])('is refused as the caller’s mistake where it says %s', async (_, position) => {
    expect(await refusalOf(ask(encodePageToken(list(), position)))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['page_token'],
    });
  });
});
