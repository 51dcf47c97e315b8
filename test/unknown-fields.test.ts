import type { DescMethod } from '@bufbuild/protobuf';
import { createMethodUrl } from '@connectrpc/connect/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventsService } from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { contractRpcs } from './support/contract-rpcs.ts';
import { sendRequest } from './support/http-request.ts';
import { startWebhookService, type WebhookService } from './support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());

const unaries = contractRpcs.filter(({ methodKind }) => methodKind === 'unary');

async function refusalOf(rpc: DescMethod, body: object) {
  const { status, text } = await sendRequest(service, createMethodUrl('/', rpc), { body });
  const [info, request] = JSON.parse(text).details ?? [];
  return { status, reason: info?.debug.reason, fields: request?.debug.fieldViolations };
}

describe('a field that a request does not have is refused by its name', () => {
  test.each(unaries.map((rpc) => [rpc.name, rpc] as const))('by %s', async (_name, rpc) => {
    expect(await refusalOf(rpc, { nonsense: 1 })).toEqual({
      status: 400,
      reason: 'INVALID_REQUEST',
      fields: [{ field: 'nonsense', description: 'is not a field of this request' }],
    });
  });

  test('and a create whose key has a typo is not recorded without it', async () => {
    const { workspaceId } = service;
    const event = { workspaceId, type: 'order.paid', payload: {}, idempotency_Key: 'paid 1' };
    const { createEvent, batchCreateEvents, listEvents } = EventsService.method;
    const fields = [{ field: 'idempotency_Key' }];
    expect(await refusalOf(createEvent, event)).toMatchObject({ fields });
    expect(await refusalOf(batchCreateEvents, { requests: [event] })).toMatchObject({ fields });
    const list = await sendRequest(service, createMethodUrl('/', listEvents), {
      body: { workspaceId },
    });
    expect(JSON.parse(list.text).events ?? []).toEqual([]);
  });

  test('but payloads and metadata call theirs as they like', async () => {
    const { workspaceId } = service;
    const body = { workspaceId, type: 'x', payload: { nonsense: 1 }, metadata: { nonsense: '1' } };
    const path = createMethodUrl('/', EventsService.method.createEvent);
    expect((await sendRequest(service, path, { body })).status).toBe(200);
  });
});
