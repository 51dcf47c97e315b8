import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiKeyKind } from '../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import {
  ApiKeysService,
  type CreateApiKeyRequestSchema,
} from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { hasScope, scopes } from '../src/api-keys/index.ts';
import { createTransport, type Wire } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
/** As a secret key is without a word about scopes. */
let eight: string;
beforeAll(async () => {
  service = await startTestService();
  eight = await service.issueKey({ kind: 'secret' });
  for (const id of ['ws_a', 'ws_b']) await service.app.workspaces.create(id, '');
});
afterAll(() => service.stop());

const keysAs = (secretKey: string, wire: Wire = 'grpc'): Client<typeof ApiKeysService> =>
  createClient(ApiKeysService, createTransport(wire, service.baseUrl, secretKey));

const beyondTheEight = ['events:erase', 'audit:read', 'all'];
const unrestricted = { workspaceIds: [], typePatterns: [], expiresAt: undefined };

test('a secret key has the eight scopes that read and write, and none that came later', () => {
  const has = scopes.filter((scope) =>
    hasScope({ kind: 'secret', scopes: [], ...unrestricted }, scope),
  );
  expect(has).toEqual(scopes.filter((scope) => !beyondTheEight.includes(scope)));
  expect(has).toHaveLength(8);
});

test.each(['secret', 'restricted'] as const)(
  'a %s key with the scope all has every scope, also one that nobody knows yet',
  (kind) => {
    const grant = { kind, scopes: ['all'], ...unrestricted };
    expect([...scopes, 'moon:write'].every((scope) => hasScope(grant, scope))).toBe(true);
  },
);

type NewKey = MessageInitShape<typeof CreateApiKeyRequestSchema>;
const secretWithAll: NewKey = { kind: ApiKeyKind.SECRET, scopes: ['all'] };
const restrictedWith = (scope: string, workspaceIds: string[] = []): NewKey => ({
  kind: ApiKeyKind.RESTRICTED,
  scopes: [scope],
  workspaceIds,
});

describe.each(['grpc', 'connect json'] as const)('over %s', (wire) => {
  test.each<[string, NewKey]>([
    ['a secret key with all', secretWithAll],
    ...beyondTheEight.flatMap((scope): [string, NewKey][] => [
      [`a key with ${scope}`, restrictedWith(scope)],
      [`a key with ${scope} in one workspace`, restrictedWith(scope, ['ws_a'])],
    ]),
  ])('a secret key of the eight cannot make %s', async (_what, request) => {
    const call = keysAs(eight, wire).createApiKey(request);
    expect(await refusalOf(call)).toMatchObject({
      code: 'PermissionDenied',
      reason: 'API_KEY_EXCEEDS_CALLER',
      metadata: { exceeds: 'scopes' },
    });
  });

  test('a secret key of the eight neither sees nor revokes a key that has more', async () => {
    const master = keysAs(service.secretKey, wire);
    const made = await Promise.all(
      [secretWithAll, ...beyondTheEight.map((scope) => restrictedWith(scope))].map((request) =>
        master.createApiKey(request),
      ),
    );
    const ids = made.map(({ apiKey }) => apiKey?.id ?? '');
    const seenBy = async (keys: Client<typeof ApiKeysService>) => {
      const { apiKeys } = await keys.listApiKeys({ pageSize: 500 });
      return ids.filter((id) => apiKeys.some((apiKey) => apiKey.id === id));
    };
    const keys = keysAs(eight, wire);
    expect(await seenBy(master)).toEqual(ids);
    expect(await seenBy(keys)).toEqual([]);
    const missingId = 'key_01hzy9q7x8f4kq3d2m5n6p7r8s';
    const missing = await refusalOf(keys.revokeApiKey({ id: missingId }));
    expect(missing.reason).toBe('API_KEY_NOT_FOUND');
    for (const id of ids) {
      const refusal = await refusalOf(keys.revokeApiKey({ id }));
      expect(JSON.stringify(refusal).replaceAll(id, missingId)).toBe(JSON.stringify(missing));
    }
  });

  test('a restricted key with all gives all, but only within its restriction', async () => {
    const maker = keysAs(
      await service.issueKey({ scopes: ['all'], workspaceIds: ['ws_a'], typePatterns: ['x.*'] }),
      wire,
    );
    const within = { ...restrictedWith('all', ['ws_a']), typePatterns: ['x.y'] };
    expect((await maker.createApiKey(within)).apiKey?.scopes).toEqual(['all']);
    const beyond: [string, NewKey][] = [
      ['kind', secretWithAll],
      ['workspace_ids', { ...within, workspaceIds: [] }],
      ['workspace_ids', { ...within, workspaceIds: ['ws_a', 'ws_b'] }],
      ['type_patterns', { ...within, typePatterns: ['*'] }],
    ];
    for (const [exceeds, request] of beyond) {
      expect((await refusalOf(maker.createApiKey(request))).metadata).toEqual({ exceeds });
    }
  });

  test.each([
    ['all and another scope', ['all', 'events:read']],
    ['some scopes', ['events:erase', 'audit:read']],
  ])(
    'a secret key with %s is refused: it has all of them, or none named',
    async (_what, listed) => {
      const call = keysAs(service.secretKey, wire).createApiKey({
        kind: ApiKeyKind.SECRET,
        scopes: listed,
      });
      expect(await refusalOf(call)).toMatchObject({
        reason: 'INVALID_REQUEST',
        fields: ['scopes'],
      });
    },
  );
});
