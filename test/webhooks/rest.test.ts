import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpRequest, sendRequest } from '../support/http-request.ts';
import { startWebhookService, type WebhookService } from '../support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());

async function rest(path: string, request: HttpRequest = {}) {
  const answer = await sendRequest(service, path, request);
  return { ...answer, json: JSON.parse(answer.text) };
}

test('an endpoint is created, changed, tested, paused and deleted by REST', async () => {
  const url = `${service.receiver.baseUrl}/rest`;
  const created = await rest('/v1/webhook_endpoints', {
    body: { workspace_id: service.workspaceId, url, type_patterns: ['invoice.*'] },
  });
  expect(created.status).toBe(201);
  expect(created.json.secret).toMatch(/^whsec_/);
  const { id } = created.json.endpoint;
  const at = `/v1/webhook_endpoints/${id}`;
  expect(created.headers).toMatchObject({ location: at, 'cache-control': 'no-store' });

  const got = await rest(at);
  expect(got.json).toEqual(created.json.endpoint);
  expect(got.json).toMatchObject({
    id,
    url,
    type_patterns: ['invoice.*'],
    max_in_flight: 10,
    timeout_ms: 15_000,
    ordering: 'WEBHOOK_ORDERING_NONE',
    status: 'WEBHOOK_ENDPOINT_STATUS_ENABLED',
    position: 0,
    lag: 0,
  });

  const patched = await rest(at, {
    method: 'PATCH',
    body: { description: 'ours', headers: { headers: { 'x-tenant': 'one' } } },
  });
  expect(patched.json).toMatchObject({ description: 'ours', header_names: ['x-tenant'], url });

  const tested = await rest(`${at}/test`, { body: {} });
  expect(tested.json).toMatchObject({ attempt: { number: 1, response_status: 204 } });

  const paused = await rest(`${at}/pause`, { body: {} });
  expect(paused.json.status).toBe('WEBHOOK_ENDPOINT_STATUS_PAUSED');
  const resumed = await rest(`${at}/resume`, { body: { from_now: true } });
  expect(resumed.json.status).toBe('WEBHOOK_ENDPOINT_STATUS_ENABLED');

  const rotated = await rest(`${at}/rotate_secret`, { body: { overlap: '3600s' } });
  expect(rotated.json.secret).toMatch(/^whsec_/);

  const listed = await rest(`/v1/webhook_endpoints?workspace_id=${service.workspaceId}`);
  expect(listed.json.endpoints.map((one: { id: string }) => one.id)).toEqual([id]);

  const deleted = await rest(at, { method: 'DELETE' });
  expect([deleted.status, deleted.json]).toEqual([200, {}]);
  const gone = await rest(at);
  expect(gone.status).toBe(404);
  expect(gone.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(gone.json).toMatchObject({ reason: 'WEBHOOK_ENDPOINT_NOT_FOUND' });
});

test.each([
  ['without a content type', {}],
  ['with that of JSON', { 'content-type': 'application/json' }],
])('whoever has nothing to say beside the path sends no body, %s', async (_, headers) => {
  const at = `/v1/webhook_endpoints/${await service.makeEndpoint('/rest/bodies')}`;
  const post = (path: string) => rest(path, { method: 'POST', headers });
  expect((await post(`${at}/pause`)).json.status).toBe('WEBHOOK_ENDPOINT_STATUS_PAUSED');
  expect((await post(`${at}/resume`)).json.status).toBe('WEBHOOK_ENDPOINT_STATUS_ENABLED');
  expect((await post(`${at}/test`)).json).toMatchObject({ attempt: { response_status: 204 } });
  expect((await post(`${at}/rotate_secret`)).json.secret).toMatch(/^whsec_/);
  expect((await rest(at, { method: 'PATCH', headers })).status).toBe(200);
});

test('a URL that may not be connected to is a problem that names its field and no address', async () => {
  const answer = await rest('/v1/webhook_endpoints', {
    body: { workspace_id: service.workspaceId, url: 'https://169.254.169.254/latest' },
  });
  expect(answer.status).toBe(400);
  expect(answer.json).toMatchObject({
    reason: 'INVALID_REQUEST',
    violations: [{ field: 'url', description: expect.stringMatching(/^must /) }],
  });
});

test('a replay by REST is 201 at its path, once; a dry run makes nothing and is 200', async () => {
  const endpointId = await service.makeEndpoint('/replayed', { typePatterns: ['rest.*'] });
  await service.createEvents(service.workspaceId, ['rest.one', 'rest.two']);
  await service.receiver.waitFor('/replayed', 2);
  const body = { endpoint_id: endpointId, request_id: 'rest replay' };
  const created = await rest('/v1/replays', { body });
  const { id } = created.json.replay;
  const location = `/v1/replays/${id}`;
  expect([created.status, created.headers.location]).toEqual([201, location]);
  expect(created.headers).not.toHaveProperty('idempotent-replayed');
  expect((await rest(location)).json).toMatchObject({ id, endpoint_id: endpointId });
  const again = await rest('/v1/replays', { body });
  expect(again.json.replay.id).toBe(id);
  expect([again.status, again.headers]).toMatchObject([
    201,
    { location, 'idempotent-replayed': 'true' },
  ]);

  const counted = await rest('/v1/replays', { body: { endpoint_id: endpointId, dry_run: true } });
  expect([counted.status, counted.json.matching]).toEqual([200, 2]);
  expect(counted.headers).not.toHaveProperty('location');

  const retried = await rest('/v1/deliveries/retry', { body: { endpoint_id: endpointId } });
  expect([retried.status, retried.headers.location]).toEqual([
    201,
    `/v1/replays/${retried.json.id}`,
  ]);
});
