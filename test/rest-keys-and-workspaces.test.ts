import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpRequest, problemOf, sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

async function rest(path: string, request: HttpRequest = {}) {
  const answer = await sendRequest(service, path, request);
  return { ...answer, json: JSON.parse(answer.text) };
}

test('a workspace is created, limited, listed and deleted by REST', async () => {
  const body = { id: 'ws_byrest', display_name: 'Acme', rate_limits: { streams: 5 } };
  const created = await rest('/v1/workspaces', { body });
  expect(created.status).toBe(201);
  expect(created.headers.location).toBe('/v1/workspaces/ws_byrest');
  expect(created.json).toMatchObject({ ...body, last_sequence: 0, retention_days: 0 });

  const patched = await rest('/v1/workspaces/ws_byrest', {
    method: 'PATCH',
    body: { rate_limits: { creates_per_second: 10, streams: 0 } },
  });
  expect(patched.json).toMatchObject({
    display_name: 'Acme',
    rate_limits: { creates_per_second: 10 },
  });
  expect((await rest('/v1/workspaces/ws_byrest')).json).toEqual(patched.json);
  const { workspaces, next_page_token } = (await rest('/v1/workspaces?page_size=500')).json;
  expect(workspaces).toContainEqual(patched.json);
  expect(next_page_token).toBe('');

  const deleted = await rest('/v1/workspaces/ws_byrest', { method: 'DELETE' });
  expect([deleted.status, deleted.json]).toEqual([200, {}]);
  expect((await rest('/v1/workspaces/ws_byrest')).json).toMatchObject({
    reason: 'WORKSPACE_NOT_FOUND',
  });
});

test('a key is created, limited, rotated, listed and revoked by REST, its secrets kept by nobody', async () => {
  const body = {
    kind: 'API_KEY_KIND_RESTRICTED',
    display_name: 'billing',
    scopes: ['events:write'],
    workspace_ids: [service.workspaceId],
    rate_limits: { creates_per_second: 10, burst_seconds: 2 },
    request_id: 'rest-1',
  };
  const created = await rest('/v1/api_keys', { body });
  const { api_key: apiKey, secret } = created.json;
  const at = `/v1/api_keys/${apiKey.id}`;
  expect(created.status).toBe(201);
  expect(created.headers).toMatchObject({ location: at, 'cache-control': 'no-store' });
  const { request_id: _, ...grant } = body;
  expect(apiKey).toMatchObject(grant);

  const again = await rest('/v1/api_keys', { body });
  expect(again.headers['idempotent-replayed']).toBe('true');
  expect(again.json).toMatchObject({ api_key: { id: apiKey.id }, secret: '', replayed: true });

  const patched = await rest(at, { method: 'PATCH', body: { rate_limits: { streams: 3 } } });
  expect(patched.json.rate_limits).toEqual({ ...body.rate_limits, streams: 3 });
  expect((await rest(at)).json).toEqual(patched.json);

  const headers = { authorization: `Bearer ${secret}` };
  expect((await rest('/v1/caller', { headers })).json).toMatchObject({ id: apiKey.id });
  const rotated = await rest(`${at}/rotate`, { body: { overlap: '60s' } });
  expect(rotated.json.secret).toMatch(/^hbr_rk_/);
  expect(rotated.headers['cache-control']).toBe('no-store');
  expect(rotated.json.api_key).toHaveProperty('old_secrets_expire_at');

  const listed = await rest('/v1/api_keys');
  expect(listed.json.api_keys.map(({ id }: { id: string }) => id)).toContain(apiKey.id);
  expect(listed.text).not.toMatch(/hbr_rk_\w{20}/);

  const revoked = await rest(`${at}/revoke`, { body: {} });
  expect(revoked.json).toHaveProperty('revoked_at');
  const refused = await sendRequest(service, at, { method: 'PATCH', body: { display_name: '' } });
  expect(problemOf(refused)).toMatchObject({ status: 400, reason: 'API_KEY_NOT_ACTIVE' });
});

test('a limit that is out of bounds is a problem that names it', async () => {
  const answer = await sendRequest(service, `/v1/workspaces/${service.workspaceId}`, {
    method: 'PATCH',
    body: { rate_limits: { create_bytes_per_second: 1_000 } },
  });
  expect(problemOf(answer)).toMatchObject({
    status: 400,
    violations: [
      {
        field: 'rate_limits.create_bytes_per_second',
        description: 'must be 0, no limit, or 1,024–1,000,000,000',
      },
    ],
  });
});
