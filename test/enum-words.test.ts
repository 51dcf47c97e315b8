import type { DescField, DescMethod } from '@bufbuild/protobuf';
import { createMethodUrl } from '@connectrpc/connect/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventsService } from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { WebhooksService } from '../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { contractRpcs } from './support/contract-rpcs.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { startWebhookService, type WebhookService } from './support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());

const ofRequests = contractRpcs
  .flatMap((rpc) => rpc.input.fields.map((field) => ({ rpc, field })))
  .filter((one): one is { rpc: DescMethod; field: DescField & { fieldKind: 'enum' } } => {
    return one.field.fieldKind === 'enum';
  });

describe('a word that an enum does not have', () => {
  test.each(ofRequests.map((one) => [one.rpc.name, one.field.name, one] as const))(
    'is refused by %s as its %s, and not passed over',
    async (_rpc, name, { rpc, field }) => {
      const answer = await sendRequest(service, createMethodUrl('/', rpc), {
        body: { [name]: 'nonsense' },
      });
      const values = field.enum.values.filter(({ number }) => number !== 0);
      const description = `must be one of ${values.map((value) => value.name).join(', ')}`;
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.text).details).toMatchObject([
        { debug: { reason: 'INVALID_REQUEST' } },
        { debug: { fieldViolations: [{ field: name, description }] } },
      ]);
    },
  );

  test('is refused by REST in the same words', async () => {
    const { workspaceId } = service;
    const body = { workspace_id: workspaceId, url: service.receiver.baseUrl, ordering: 'subject' };
    const answer = await sendRequest(service, '/v1/webhook_endpoints', { body });
    expect(problemOf(answer)).toMatchObject({
      status: 400,
      violations: [
        { field: 'ordering', description: expect.stringContaining('WEBHOOK_ORDERING_SUBJECT') },
      ],
    });
  });

  test('is no matter in what is no enum but called the same', async () => {
    const names = { order: '5', ordering: 'x', state: 'new', kind: 'none' };
    const { workspaceId } = service;
    const endpoint = { workspaceId, url: service.receiver.baseUrl, headers: names };
    const ofEndpoint = createMethodUrl('/', WebhooksService.method.createWebhookEndpoint);
    expect((await sendRequest(service, ofEndpoint, { body: endpoint })).status).toBe(200);
    const event = { workspaceId, type: 'x', payload: names, metadata: names };
    const ofEvent = createMethodUrl('/', EventsService.method.createEvent);
    expect((await sendRequest(service, ofEvent, { body: event })).status).toBe(200);
  });
});

test('a word of an enum is taken, and null for none', async () => {
  const path = createMethodUrl('/', EventsService.method.listEvents);
  for (const order of ['EVENT_ORDER_DESCENDING', 'EVENT_ORDER_UNSPECIFIED', null]) {
    const body = { workspaceId: service.workspaceId, order };
    expect((await sendRequest(service, path, { body })).status).toBe(200);
  }
});
