import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiKey, ApiKeyKind } from '../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { AuditService } from '../gen/typescript/harbor/audit/v1/audit_service_pb.ts';
import { type Grant, issueApiKey } from '../src/api-keys/index.ts';
import { createEventsClient, createTransport, type Wire } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const keysAs = (secretKey: string, wire: Wire = 'grpc'): Client<typeof ApiKeysService> =>
  createClient(ApiKeysService, createTransport(wire, service.baseUrl, secretKey));

/** A key that may read events, unless said otherwise. */
async function issue(grant: Partial<Grant> = {}): Promise<{ id: string; secret: string }> {
  const { apiKey, secret } = await issueApiKey(service.app.apiKeys, {
    kind: 'restricted',
    displayName: 'as it was',
    scopes: ['events:read'],
    workspaceIds: [],
    typePatterns: [],
    expiresAt: undefined,
    ...grant,
  });
  return { id: apiKey.id, secret };
}

const in10Minutes = () => new Date(Date.now() + 600_000);
const expiryOf = (apiKey: ApiKey | undefined) =>
  apiKey?.expiresAt && timestampDate(apiKey.expiresAt);
const missingId = 'key_01hzy9q7x8f4kq3d2m5n6p7r8s';

describe.each(['grpc', 'connect json'] as const)('over %s', (wire) => {
  test('a key is renamed, or expires earlier, and what is unset stays', async () => {
    const { id } = await issue();
    const keys = keysAs(service.secretKey, wire);
    const renamed = await keys.updateApiKey({ id, displayName: 'renamed' });
    expect(renamed.apiKey).toMatchObject({ id, displayName: 'renamed', scopes: ['events:read'] });
    const end = in10Minutes();
    const ending = await keys.updateApiKey({ id, expiresAt: timestampFromDate(end) });
    expect(ending.apiKey?.displayName).toBe('renamed');
    expect(expiryOf(ending.apiKey)).toEqual(end);
    const unnamed = await keys.updateApiKey({ id, displayName: '' });
    expect(unnamed.apiKey).toEqual({ ...ending.apiKey, displayName: '' });
    expect((await keys.updateApiKey({ id })).apiKey).toEqual(unnamed.apiKey);
    expect((await keys.retrieveApiKey({ id })).apiKey).toEqual(unnamed.apiKey);
  });

  test('a key never expires later than before; the same time again changes nothing', async () => {
    const end = in10Minutes();
    const { id } = await issue({ expiresAt: end });
    const keys = keysAs(service.secretKey, wire);
    const later = timestampFromDate(new Date(end.getTime() + 1));
    expect(await refusalOf(keys.updateApiKey({ id, expiresAt: later }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['expires_at'],
      message: expect.stringContaining(end.toISOString()),
    });
    const again = await keys.updateApiKey({ id, expiresAt: timestampFromDate(end) });
    expect(expiryOf(again.apiKey)).toEqual(end);
    const past = timestampFromDate(new Date(Date.now() - 1));
    expect(await refusalOf(keys.updateApiKey({ id, expiresAt: past }))).toMatchObject({
      fields: ['expires_at'],
    });
  });

  test('a key that was revoked or has expired is not changed any more', async () => {
    const revoked = await issue();
    await service.app.apiKeys.revoke(revoked.id);
    const expired = await issue({ expiresAt: new Date(Date.now() - 1) });
    for (const { id } of [revoked, expired]) {
      const call = keysAs(service.secretKey, wire).updateApiKey({ id, displayName: 'late' });
      expect(await refusalOf(call)).toMatchObject({
        code: 'FailedPrecondition',
        reason: 'API_KEY_NOT_ACTIVE',
      });
    }
  });

  test('a key that the caller could not have made is not found, nor changed', async () => {
    const within = { typePatterns: ['invoice.*'], expiresAt: in10Minutes() };
    const caller = await issue({
      ...within,
      scopes: ['events:read', 'api_keys:read', 'api_keys:write'],
    });
    const hidden = [
      await issue({ kind: 'secret', scopes: [] }),
      await issue({ ...within, scopes: ['events:erase'] }),
      await issue({ ...within, typePatterns: [] }),
    ];
    const longer = await issue({ typePatterns: ['invoice.*'] });
    const keys = keysAs(caller.secret, wire);
    const update = (id: string) => keys.updateApiKey({ id, displayName: 'mine' });
    const missing = JSON.stringify(await refusalOf(update(missingId)));
    expect(missing).toContain('API_KEY_NOT_FOUND');
    for (const { id } of [...hidden, longer]) {
      const refusal = await refusalOf(update(id));
      expect(JSON.stringify(refusal).replaceAll(id, missingId)).toBe(missing);
    }
    // What it could not have made for its end alone, it may see.
    expect((await keys.retrieveApiKey({ id: longer.id })).apiKey?.displayName).toBe('as it was');
    for (const { id } of hidden) {
      expect((await refusalOf(keys.retrieveApiKey({ id }))).reason).toBe('API_KEY_NOT_FOUND');
    }
    expect((await update((await issue(within)).id)).apiKey?.displayName).toBe('mine');
  });

  test.each([
    ['updateApiKey', 'api_keys:write', ['api_keys:read']],
    ['retrieveApiKey', 'api_keys:read', ['api_keys:write']],
  ] as const)('%s needs %s', async (method, scope, scopes) => {
    const keys = keysAs((await issue({ scopes })).secret, wire);
    expect((await refusalOf(keys[method]({ id: missingId }))).metadata).toEqual({ scope });
  });

  test.each(['not an id', 'key_', missingId.toUpperCase()])('the id %j is refused', async (id) => {
    const keys = keysAs(service.secretKey, wire);
    for (const call of [keys.updateApiKey({ id }), keys.retrieveApiKey({ id })]) {
      expect(await refusalOf(call)).toMatchObject({ reason: 'INVALID_REQUEST', fields: ['id'] });
    }
  });

  test('any key that works is told who it is, whatever it may do', async () => {
    const end = in10Minutes();
    const grant = { scopes: ['webhooks:read'], workspaceIds: ['ws_test'], typePatterns: ['a.*'] };
    const { id, secret } = await issue({ ...grant, expiresAt: end });
    const { apiKey } = await keysAs(secret, wire).retrieveCaller({});
    expect(apiKey).toMatchObject({
      id,
      displayName: 'as it was',
      ...grant,
      hint: `hbr_rk_…${secret.slice(-4)}`,
    });
    expect(expiryOf(apiKey)).toEqual(end);
    const own = await keysAs(service.secretKey, wire).retrieveApiKey({ id });
    expect(own.apiKey).toMatchObject({ id, scopes: ['webhooks:read'] });
  });

  test('a caller whose key does not work is told nothing', async () => {
    const { id, secret } = await issue();
    expect((await keysAs(secret, wire).retrieveCaller({})).apiKey?.id).toBe(id);
    await service.app.apiKeys.revoke(id);
    // Though the process believes in it for some seconds more.
    expect((await refusalOf(keysAs(secret, wire).retrieveCaller({}))).reason).toBe(
      'API_KEY_INVALID',
    );
    expect((await refusalOf(keysAs('hbr_sk_nobody', wire).retrieveCaller({}))).reason).toBe(
      'API_KEY_INVALID',
    );
  });
});

test('1,000 callers at once are told who they are', async () => {
  const { id, secret } = await issue();
  const keys = keysAs(secret);
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => keys.retrieveCaller({})));
  expect(new Set(answers.map(({ apiKey }) => apiKey?.id))).toEqual(new Set([id]));
});

test('a key that expires earlier is refused from then on, and its streams end', async () => {
  const { id, secret } = await issue();
  const events = createEventsClient({ ...service, secretKey: secret });
  const stream = events.subscribeEvents({ workspaceId: 'ws_test' })[Symbol.asyncIterator]();
  expect((await stream.next()).value?.message.case).toBe('caughtUp');
  const ended = refusalOf(stream.next());
  await service.app.apiKeys.update(id, { expiresAt: new Date(Date.now() + 500) });
  expect(await ended).toMatchObject({ code: 'Unauthenticated', reason: 'API_KEY_INVALID' });
  const list = () =>
    events.listEvents({ workspaceId: 'ws_test' }).then(
      () => 'answered',
      () => 'refused',
    );
  await expect.poll(list, { timeout: 5_000 }).toBe('refused');
});

test('a caller whose own key now expires earlier makes no key that outlives it', async () => {
  const { id, secret } = await issue({ scopes: ['api_keys:write', 'events:read'] });
  const keys = keysAs(secret);
  await keys.retrieveCaller({});
  await service.app.apiKeys.update(id, { expiresAt: in10Minutes() });
  const call = keys.createApiKey({ kind: ApiKeyKind.RESTRICTED, scopes: ['events:read'] });
  expect((await refusalOf(call)).metadata).toEqual({ exceeds: 'expires_at' });
});

test('what becomes of a key is in the audit, and no secret is', async () => {
  const headers = { 'x-request-id': 'req_keys' };
  const keys = keysAs(service.secretKey);
  const grant = {
    kind: ApiKeyKind.RESTRICTED,
    scopes: ['events:read'],
    workspaceIds: ['ws_test'],
  };
  const { apiKey, secret } = await keys.createApiKey({ ...grant, displayName: 'x' }, { headers });
  const id = apiKey?.id ?? '';
  await keys.updateApiKey({ id, displayName: 'y' }, { headers });
  await keys.updateApiKey({ id, displayName: 'y' }, { headers });
  const rotated = await keys.rotateApiKey({ id, overlap: { seconds: 60n } }, { headers });
  await keys.revokeApiKey({ id }, { headers });
  await keys.revokeApiKey({ id }, { headers });
  const transport = createTransport('grpc', service.baseUrl, service.secretKey);
  const { auditRecords } = await createClient(AuditService, transport).listAuditRecords({
    targetId: id,
  });
  const me = (await keys.retrieveCaller({})).apiKey?.id;
  const byMe = { apiKeyId: me, requestId: 'req_keys', workspaceIds: ['ws_test'] };
  expect(auditRecords).toMatchObject([
    { ...byMe, action: 'api_key.revoked' },
    { ...byMe, action: 'api_key.rotated', changes: { hint: rotated.apiKey?.hint } },
    { ...byMe, action: 'api_key.updated', changes: { display_name: 'y' } },
    {
      ...byMe,
      action: 'api_key.created',
      changes: {
        kind: 'restricted',
        display_name: 'x',
        hint: apiKey?.hint,
        scopes: 'events:read',
        workspace_ids: 'ws_test',
      },
    },
  ]);
  const told = JSON.stringify(auditRecords, (_name, value) =>
    typeof value === 'bigint' ? `${value}` : value,
  );
  for (const one of [secret, rotated.secret]) expect(told).not.toContain(one.slice(8, -4));
});
