import { createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ApiKeyKind } from '../../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { ApiKeysService } from '../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { AuditService } from '../../gen/typescript/harbor/audit/v1/audit_service_pb.ts';
import { WorkspacesService } from '../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import { hashSecret } from '../../src/api-keys/index.ts';
import type { RateLimits } from '../../src/rate-limits/index.ts';
import { createTransport } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { runHarbor } from '../support/harbor-cli.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const keysAs = (secret: string) =>
  createClient(ApiKeysService, createTransport('grpc', service.baseUrl, secret));
const workspacesAs = (secret: string) =>
  createClient(WorkspacesService, createTransport('grpc', service.baseUrl, secret));

const idOf = async (secret: string): Promise<string> =>
  (await service.app.apiKeys.findCaller(hashSecret(secret)))?.apiKeyId ?? '';

const all = { createsPerSecond: 100, createBytesPerSecond: 50_000, burstSeconds: 5, streams: 3 };
const wish = (rateLimits?: RateLimits) => ({
  kind: ApiKeyKind.RESTRICTED,
  scopes: ['events:write'],
  ...(rateLimits && { rateLimits: rateLimits as object }),
});
const maker = (rateLimits?: RateLimits) =>
  service.issueKey({
    scopes: [
      'events:write',
      'api_keys:read',
      'api_keys:write',
      'workspaces:write',
      'workspaces:read',
    ],
    rateLimits,
  });

/** Limits without what protobuf puts beside them. */
const plain = (limits: object | undefined) => {
  const { $typeName: _, ...rest } = { $typeName: '', ...limits };
  return rest;
};

/** What the audit says of a thing, the newest first. */
async function auditOf(targetId: string): Promise<Record<string, string>[]> {
  const audit = createClient(
    AuditService,
    createTransport('grpc', service.baseUrl, service.secretKey),
  );
  const { auditRecords } = await audit.listAuditRecords({ targetId });
  return auditRecords.map(({ changes }) => changes);
}

describe('the limits of a key', () => {
  test('are given when it is made, shown with it, and changed one by one', async () => {
    const keys = keysAs(service.secretKey);
    const { apiKey: { id = '', rateLimits } = {} } = await keys.createApiKey(wish(all));
    expect(plain(rateLimits)).toEqual(all);
    const updated = await keys.updateApiKey({
      id,
      rateLimits: { streams: 0, createsPerSecond: 7 },
    });
    const now = { createsPerSecond: 7, createBytesPerSecond: 50_000, burstSeconds: 5 };
    expect(plain(updated.apiKey?.rateLimits)).toEqual(now);
    const unchanged = await keys.updateApiKey({ id, displayName: 'limited' });
    expect(plain(unchanged.apiKey?.rateLimits)).toEqual(now);
    const none = { createsPerSecond: 0, createBytesPerSecond: 0, burstSeconds: 0 };
    const lifted = await keys.updateApiKey({ id, rateLimits: none });
    expect(lifted.apiKey?.rateLimits).toBeUndefined();
  });

  test('are in the audit, with what they were before', async () => {
    const keys = keysAs(service.secretKey);
    const { apiKey: { id = '' } = {} } = await keys.createApiKey(wish({ streams: 3 }));
    await keys.updateApiKey({ id, rateLimits: { streams: 5, createsPerSecond: 10 } });
    await keys.updateApiKey({ id, rateLimits: { streams: 5 } });
    await keys.updateApiKey({ id, rateLimits: { streams: 0 } });
    const [lifted, raised, created, ...others] = await auditOf(id);
    expect(others).toEqual([]);
    expect(created).toMatchObject({ 'rate_limits.streams': '3' });
    expect(raised).toEqual({
      'rate_limits.streams': '5',
      'rate_limits_before.streams': '3',
      'rate_limits.creates_per_second': '10',
      'rate_limits_before.creates_per_second': 'none',
    });
    expect(lifted).toEqual({ 'rate_limits.streams': 'none', 'rate_limits_before.streams': '5' });
  });

  test.each([
    [{ createsPerSecond: -1 }, 'rate_limits.creates_per_second'],
    [{ createsPerSecond: 1_000_001 }, 'rate_limits.creates_per_second'],
    [{ createBytesPerSecond: 1_023 }, 'rate_limits.create_bytes_per_second'],
    [{ createBytesPerSecond: 1_000_000_001 }, 'rate_limits.create_bytes_per_second'],
    [{ burstSeconds: 3_601 }, 'rate_limits.burst_seconds'],
    [{ streams: 1_000_001 }, 'rate_limits.streams'],
  ])('%o are refused by the name of the field', async (rateLimits, field) => {
    const refused = { reason: 'INVALID_REQUEST', fields: [field] };
    expect(await refusalOf(keysAs(service.secretKey).createApiKey(wish(rateLimits)))).toMatchObject(
      refused,
    );
    const workspaces = workspacesAs(service.secretKey);
    const update = { id: service.workspaceId, rateLimits };
    expect(await refusalOf(workspaces.updateWorkspace(update))).toMatchObject(refused);
  });

  test('are a part of what a request_id stands for', async () => {
    const keys = keysAs(service.secretKey);
    const request = { ...wish({ streams: 3 }), requestId: 'limited' };
    await keys.createApiKey(request);
    expect((await keys.createApiKey(request)).replayed).toBe(true);
    const { reason } = await refusalOf(keys.createApiKey({ ...wish(), requestId: 'limited' }));
    expect(reason).toBe('REQUEST_ID_REUSED');
  });
});

describe('a key with limits', () => {
  let secret: string;
  beforeEach(async () => {
    secret = await maker(all);
  });

  test.each([
    [undefined, 'creates_per_second'],
    [{ ...all, createsPerSecond: 101 }, 'creates_per_second'],
    [{ ...all, createsPerSecond: 0 }, 'creates_per_second'],
    [{ ...all, createBytesPerSecond: 50_001 }, 'create_bytes_per_second'],
    [{ ...all, burstSeconds: 6 }, 'burst_seconds'],
    [{ ...all, burstSeconds: 0 }, 'burst_seconds'],
    [{ ...all, streams: 4 }, 'streams'],
    [{ ...all, streams: 0 }, 'streams'],
  ])('makes no key with %o', async (rateLimits, field) => {
    const refused = {
      reason: 'API_KEY_EXCEEDS_CALLER',
      metadata: { exceeds: `rate_limits.${field}` },
    };
    expect(await refusalOf(keysAs(secret).createApiKey(wish(rateLimits)))).toMatchObject(refused);
  });

  test('makes keys that are limited as much, or more', async () => {
    await keysAs(secret).createApiKey(wish(all));
    await keysAs(secret).createApiKey(wish({ ...all, streams: 1 }));
  });

  test('lowers its own limits, and does not raise them again', async () => {
    const id = await idOf(secret);
    const keys = keysAs(secret);
    await keys.updateApiKey({ id, rateLimits: { streams: 2 } });
    // Whatever its process still believes.
    const refused = {
      reason: 'API_KEY_EXCEEDS_CALLER',
      metadata: { exceeds: 'rate_limits.streams' },
    };
    expect(await refusalOf(keys.updateApiKey({ id, rateLimits: { streams: 3 } }))).toMatchObject(
      refused,
    );
    expect(await refusalOf(keys.updateApiKey({ id, rateLimits: { streams: 0 } }))).toMatchObject(
      refused,
    );
    expect(await refusalOf(keys.createApiKey(wish(all)))).toMatchObject(refused);
    const { apiKey } = await keys.retrieveCaller({});
    expect(plain(apiKey?.rateLimits)).toEqual({ ...all, streams: 2 });
  });

  test('neither sees, changes, rotates nor revokes a key that may take more', async () => {
    const keys = keysAs(secret);
    const { apiKey: { id = '' } = {} } = await keysAs(service.secretKey).createApiKey(wish());
    for (const call of [
      () => keys.retrieveApiKey({ id }),
      () => keys.updateApiKey({ id, rateLimits: all }),
      () => keys.rotateApiKey({ id }),
      () => keys.revokeApiKey({ id }),
    ]) {
      expect((await refusalOf(call())).reason).toBe('API_KEY_NOT_FOUND');
    }
  });

  test('gives a workspace limits up to its own, and none above', async () => {
    const workspaces = workspacesAs(secret);
    const refused = (field: string) => ({
      code: 'PermissionDenied',
      reason: 'RATE_LIMITS_EXCEED_CALLER',
      metadata: { exceeds: `rate_limits.${field}` },
    });
    expect(await refusalOf(workspaces.createWorkspace({}))).toMatchObject(
      refused('creates_per_second'),
    );
    const { workspace: { id = '' } = {} } = await workspaces.createWorkspace({ rateLimits: all });
    const raise = (rateLimits: object) => workspaces.updateWorkspace({ id, rateLimits });
    expect(await refusalOf(raise({ streams: 4 }))).toMatchObject(refused('streams'));
    expect(await refusalOf(raise({ streams: 0 }))).toMatchObject(refused('streams'));
    await raise({ streams: 1 });
    const { workspace } = await raise({ streams: 3 });
    expect(plain(workspace?.rateLimits)).toEqual(all);
  });

  test('lowers limits of a workspace that are above its own, and changes the rest of it', async () => {
    const { id } = await service.app.workspaces.create(`ws_above${Date.now()}`, '', {
      rateLimits: { streams: 1_000 },
    });
    const workspaces = workspacesAs(secret);
    const lowered = await workspaces.updateWorkspace({ id, rateLimits: { streams: 500 } });
    expect(plain(lowered.workspace?.rateLimits)).toEqual({ streams: 500 });
    await workspaces.updateWorkspace({ id, displayName: 'renamed' });
    const { reason } = await refusalOf(
      workspaces.updateWorkspace({ id, rateLimits: { streams: 501 } }),
    );
    expect(reason).toBe('RATE_LIMITS_EXCEED_CALLER');
  });
});

test('changes of the limits of a workspace are in the audit, with what they were before', async () => {
  const workspaces = workspacesAs(service.secretKey);
  const { workspace: { id = '' } = {} } = await workspaces.createWorkspace({
    rateLimits: { streams: 3 },
  });
  await workspaces.updateWorkspace({ id, rateLimits: { streams: 30 } });
  await workspaces.updateWorkspace({ id, rateLimits: { streams: 30 } });
  const [raised, created, ...others] = await auditOf(id);
  expect(others).toEqual([]);
  expect(created).toMatchObject({ 'rate_limits.streams': '3' });
  expect(raised).toEqual({ 'rate_limits.streams': '30', 'rate_limits_before.streams': '3' });
});

test('the command line limits keys and workspaces, shows it, and takes a limit off', async () => {
  const env = { DATABASE_URL: service.database.url };
  const harbor = async (...args: string[]) => {
    const { code, stdout, stderr } = await runHarbor(args, env);
    expect([code, stderr.replace(/^created .*\n/, '')]).toEqual([0, '']);
    return stdout.trim();
  };
  const limits = ['--creates-per-second', '100', '--create-bytes-per-second', '50000'];
  const secret = await harbor('keys', 'create', '--scope', 'events:write', ...limits);
  const id = await idOf(secret);
  await harbor('keys', 'update', id, '--streams', '3', '--burst-seconds', '5');
  const shown = async (command: string, sought: string) =>
    (await harbor(command, 'list'))
      .split('\n')
      .map((line) => JSON.parse(line))
      .find((row) => row.id === sought);
  expect((await shown('keys', id)).rate_limits).toEqual({
    creates_per_second: 100,
    create_bytes_per_second: 50_000,
    burst_seconds: 5,
    streams: 3,
  });
  await harbor('workspaces', 'create', 'ws_cli', '--streams', '3', ...limits);
  await harbor('workspaces', 'update', 'ws_cli', '--streams', 'none');
  expect((await shown('workspaces', 'ws_cli')).rate_limits).toEqual({
    creates_per_second: 100,
    create_bytes_per_second: 50_000,
  });
  const refused = await runHarbor(['keys', 'update', id, '--create-bytes-per-second', '1023'], env);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('1024–1000000000')]);
}, 60_000);
