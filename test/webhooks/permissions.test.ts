import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusalOf } from '../support/errors.ts';
import { startWebhookService, type WebhookService } from '../support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());

const scopes = ['webhooks:read', 'webhooks:write', 'events:read'];

/** Every call about an endpoint. */
function callsAbout(id: string, secretKey: string): readonly (() => Promise<unknown>)[] {
  const webhooks = service.webhooks(secretKey);
  return [
    () => webhooks.retrieveWebhookEndpoint({ id }),
    () => webhooks.updateWebhookEndpoint({ id, description: 'mine now' }),
    () => webhooks.pauseWebhookEndpoint({ id }),
    () => webhooks.resumeWebhookEndpoint({ id }),
    () => webhooks.deleteWebhookEndpoint({ id }),
    () => webhooks.revealSecret({ id }),
    () => webhooks.rotateSecret({ id }),
    () => webhooks.sendTestEvent({ id }),
  ];
}

test.each([
  ['of another workspace', {}, { workspaceIds: ['ws_elsewhere'] }],
  ['of other types', { typePatterns: ['invoice.*'] }, { typePatterns: ['order.*'] }],
  ['of fewer types', { typePatterns: ['invoice.*', 'order.*'] }, { typePatterns: ['order.*'] }],
  ['of some types, where the endpoint is sent all', {}, { typePatterns: ['order.*'] }],
])('for a key %s the endpoint does not exist', async (_what, settings, grant) => {
  const id = await service.makeEndpoint('/covered', settings);
  const key = await service.issueKey({ scopes, ...grant });
  for (const call of callsAbout(id, key)) {
    expect(await refusalOf(call())).toMatchObject({
      code: 'NotFound',
      reason: 'WEBHOOK_ENDPOINT_NOT_FOUND',
    });
  }
  const { endpoint } = await service.webhooks().retrieveWebhookEndpoint({ id });
  expect(endpoint?.description).toBe('');
});

test('a key that covers an endpoint may do all of it', async () => {
  const workspaceId = await service.makeWorkspace();
  const id = await service.makeEndpoint('/covered', {
    workspaceId,
    typePatterns: ['invoice.paid'],
  });
  const key = await service.issueKey({
    scopes,
    workspaceIds: [workspaceId],
    typePatterns: ['invoice.*'],
  });
  const webhooks = service.webhooks(key);
  await webhooks.updateWebhookEndpoint({ id, description: 'ours' });
  const { endpoints } = await webhooks.listWebhookEndpoints({ workspaceId });
  expect(endpoints.map((one) => one.id)).toEqual([id]);
  expect((await webhooks.revealSecret({ id })).secrets).toHaveLength(1);
  await webhooks.deleteWebhookEndpoint({ id });
});

test('a key makes no endpoint that is sent more than the key may read', async () => {
  const key = await service.issueKey({ scopes, typePatterns: ['invoice.*'] });
  const create = (typePatterns: string[]) =>
    service.webhooks(key).createWebhookEndpoint({
      workspaceId: service.workspaceId,
      url: `${service.receiver.baseUrl}/mine`,
      typePatterns,
    });
  expect(await refusalOf(create(['order.placed']))).toMatchObject({
    reason: 'EVENT_TYPE_NOT_ALLOWED',
    metadata: { type: 'order.placed' },
  });
  // None means all that the key may read.
  const { endpoint } = await create([]);
  expect(endpoint?.typePatterns).toEqual(['invoice.*']);
  const wider = service.webhooks(key).updateWebhookEndpoint({
    id: endpoint?.id ?? '',
    typePatterns: { typePatterns: ['*'] },
  });
  expect(await refusalOf(wider)).toMatchObject({ reason: 'EVENT_TYPE_NOT_ALLOWED' });
});

test('who has events sent to a URL needs events:read besides', async () => {
  const id = await service.makeEndpoint('/read');
  const key = await service.issueKey({ scopes: ['webhooks:read', 'webhooks:write'] });
  const webhooks = service.webhooks(key);
  for (const call of [
    () =>
      webhooks.createWebhookEndpoint({
        workspaceId: service.workspaceId,
        url: `${service.receiver.baseUrl}/mine`,
      }),
    () => webhooks.updateWebhookEndpoint({ id, url: `${service.receiver.baseUrl}/mine` }),
  ]) {
    expect(await refusalOf(call())).toMatchObject({
      code: 'PermissionDenied',
      reason: 'SCOPE_MISSING',
      metadata: { scope: 'events:read' },
    });
  }
  await webhooks.pauseWebhookEndpoint({ id });
});

test('a key that may only read endpoints changes none, and sees no secret', async () => {
  const id = await service.makeEndpoint('/read');
  const key = await service.issueKey({ scopes: ['webhooks:read', 'events:read'] });
  const [retrieved, ...changes] = callsAbout(id, key);
  await retrieved?.();
  for (const call of changes) {
    expect(await refusalOf(call())).toMatchObject({
      reason: 'SCOPE_MISSING',
      metadata: { scope: 'webhooks:write' },
    });
  }
});

test('a revoked key leaves its endpoints as they are', async () => {
  const key = await service.issueKey({ kind: 'secret' });
  const { endpoint } = await service.webhooks(key).createWebhookEndpoint({
    workspaceId: service.workspaceId,
    url: `${service.receiver.baseUrl}/outlives`,
    typePatterns: ['outlives'],
  });
  await service.app.apiKeys.revoke(endpoint?.apiKeyId ?? '');
  await service.createEvents(service.workspaceId, ['outlives']);
  await service.receiver.waitFor('/outlives', 1);
  const { endpoints } = await service
    .webhooks()
    .listWebhookEndpoints({ workspaceId: service.workspaceId });
  const mine = endpoints.find(({ id }) => id === endpoint?.id);
  expect(mine?.apiKeyId).toBe(endpoint?.apiKeyId);
});

test('endpoints of a deleted workspace exist no more', async () => {
  const workspaceId = await service.makeWorkspace();
  const id = await service.makeEndpoint('/deleted', { workspaceId });
  await service.app.workspaces.delete(workspaceId);
  for (const call of callsAbout(id, service.secretKey)) {
    expect(await refusalOf(call())).toMatchObject({ reason: 'WEBHOOK_ENDPOINT_NOT_FOUND' });
  }
});
