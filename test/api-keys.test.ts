import { inspect } from 'node:util';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiKeyKind } from '../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import type { Grant } from '../src/api-keys/index.ts';
import { createEventsClient, createTransport, type Wire } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { startPostgresLink } from './support/postgres-link.ts';
import { createTestDatabase } from './support/test-database.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  for (const id of ['ws_a', 'ws_b']) await service.app.workspaces.create(id, '');
});
afterAll(() => service.stop());

const keysAs = (
  secretKey: string,
  wire: Wire = 'grpc',
  at: TestService = service,
): Client<typeof ApiKeysService> =>
  createClient(ApiKeysService, createTransport(wire, at.baseUrl, secretKey));

interface Lists {
  readonly scopes: string[];
  readonly workspaceIds: string[];
  readonly typePatterns: string[];
}

/** A request for a key that a maker may make, but for what is given. */
const restricted = (grant: Partial<Lists>): Lists & { kind: ApiKeyKind } => ({
  kind: ApiKeyKind.RESTRICTED,
  scopes: ['events:read'],
  workspaceIds: ['ws_a'],
  typePatterns: ['invoice.*'],
  ...grant,
});

/** A key with every restriction, which may make keys. */
const issueMaker = (grant: Partial<Grant> = {}) =>
  service.issueKey({
    scopes: ['events:read', 'api_keys:read', 'api_keys:write'],
    workspaceIds: ['ws_a'],
    typePatterns: ['invoice.*', 'refund'],
    ...grant,
  });

async function countKeys(): Promise<number> {
  const [row] = await service.database.query<{ count: number }>(
    'select count(*)::int from api_keys',
  );
  return row?.count ?? -1;
}

/** What would be stronger, and the field that says so. */
const escalations: [string, string, ReturnType<typeof restricted>][] = [
  [
    'a secret key',
    'kind',
    { ...restricted({}), kind: ApiKeyKind.SECRET, scopes: [], workspaceIds: [], typePatterns: [] },
  ],
  ['another scope', 'scopes', restricted({ scopes: ['events:write'] })],
  ['one scope more', 'scopes', restricted({ scopes: ['events:read', 'workspaces:read'] })],
  [
    'the eight scopes',
    'scopes',
    restricted({
      scopes: ['events', 'webhooks', 'api_keys', 'workspaces'].flatMap((one) => [
        `${one}:read`,
        `${one}:write`,
      ]),
    }),
  ],
  ['another workspace', 'workspace_ids', restricted({ workspaceIds: ['ws_b'] })],
  ['one workspace more', 'workspace_ids', restricted({ workspaceIds: ['ws_a', 'ws_b'] })],
  ['every workspace', 'workspace_ids', restricted({ workspaceIds: [] })],
  ['another type', 'type_patterns', restricted({ typePatterns: ['order.placed'] })],
  [
    'one type more',
    'type_patterns',
    restricted({ typePatterns: ['invoice.paid', 'order.placed'] }),
  ],
  ['every type, unsaid', 'type_patterns', restricted({ typePatterns: [] })],
  ['every type, as a pattern', 'type_patterns', restricted({ typePatterns: ['*'] })],
  ['a wider pattern', 'type_patterns', restricted({ typePatterns: ['invoice*'] })],
  ['the beginning of a pattern', 'type_patterns', restricted({ typePatterns: ['invoice'] })],
  ['a pattern of one type', 'type_patterns', restricted({ typePatterns: ['refund*'] })],
];

describe.each(['grpc', 'connect json'] as const)('over %s, a restricted key', (wire) => {
  test.each(escalations)('cannot make %s: it is told %s', async (_what, exceeds, request) => {
    const maker = await issueMaker();
    const before = await countKeys();
    expect(await refusalOf(keysAs(maker, wire).createApiKey(request))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'API_KEY_EXCEEDS_CALLER',
      metadata: { exceeds },
    });
    expect(await countKeys()).toBe(before);
  });

  test('makes keys that may do the same or less, and they may do no more', async () => {
    const maker = keysAs(await issueMaker(), wire);
    const same = await maker.createApiKey({
      kind: ApiKeyKind.RESTRICTED,
      scopes: ['events:read', 'api_keys:read', 'api_keys:write'],
      workspaceIds: ['ws_a'],
      typePatterns: ['invoice.*', 'refund'],
    });
    const less = await keysAs(same.secret, wire).createApiKey(
      restricted({ typePatterns: ['invoice.paid', 'invoice.sent.*'] }),
    );
    const events = createEventsClient({ ...service, secretKey: less.secret }, wire);
    expect((await events.listEvents({ workspaceId: 'ws_a' })).events).toEqual([]);
    expect((await refusalOf(events.listEvents({ workspaceId: 'ws_b' }))).reason).toBe(
      'WORKSPACE_NOT_ALLOWED',
    );
    const wider = { workspaceId: 'ws_a', typePatterns: ['invoice.*'] };
    expect((await refusalOf(events.listEvents(wider))).reason).toBe('EVENT_TYPE_NOT_ALLOWED');
    const write = { workspaceId: 'ws_a', type: 'invoice.paid', payload: {} };
    expect((await refusalOf(events.createEvent(write))).reason).toBe('SCOPE_MISSING');
  });

  test.each([
    ['createApiKey', 'api_keys:write', ['api_keys:read', 'workspaces:write']],
    ['revokeApiKey', 'api_keys:write', ['api_keys:read', 'workspaces:write']],
    ['listApiKeys', 'api_keys:read', ['api_keys:write', 'workspaces:read']],
  ] as const)('without its scope cannot call %s', async (method, scope, scopes) => {
    const keys = keysAs(await service.issueKey({ scopes }), wire);
    const calls = {
      createApiKey: () => keys.createApiKey(restricted({})),
      revokeApiKey: () => keys.revokeApiKey({ id: 'key_01hzy9q7x8f4kq3d2m5n6p7r8s' }),
      listApiKeys: () => keys.listApiKeys({}),
    };
    expect(await refusalOf(calls[method]())).toMatchObject({
      code: 'PermissionDenied',
      reason: 'SCOPE_MISSING',
      metadata: { scope },
    });
  });

  test('sees and revokes the keys that may do no more than itself, and no others', async () => {
    const maker = await issueMaker();
    const hidden = await service.issueKey({ kind: 'secret' });
    const stronger = await issueMaker({ workspaceIds: ['ws_a', 'ws_b'] });
    const weaker = await service.issueKey({
      scopes: ['events:read'],
      workspaceIds: ['ws_a'],
      typePatterns: ['refund'],
    });
    const seen = (await keysAs(maker, wire).listApiKeys({ pageSize: 500 })).apiKeys;
    const isSeen = (secret: string) => seen.some(({ hint }) => hint.endsWith(secret.slice(-4)));
    expect([maker, weaker, hidden, stronger].map(isSeen)).toEqual([true, true, false, false]);

    const missingId = 'key_01hzy9q7x8f4kq3d2m5n6p7r8s';
    const [strongerId, hiddenId, weakerId] = await Promise.all(
      [stronger, hidden, weaker].map(idOf),
    );
    const missing = await refusalOf(keysAs(maker, wire).revokeApiKey({ id: missingId }));
    expect(missing).toMatchObject({ code: 'NotFound', reason: 'API_KEY_NOT_FOUND' });
    for (const id of [strongerId, hiddenId] as string[]) {
      const refusal = await refusalOf(keysAs(maker, wire).revokeApiKey({ id }));
      expect(JSON.stringify(refusal).replaceAll(id, missingId)).toBe(JSON.stringify(missing));
    }
    const { apiKey } = await keysAs(maker, wire).revokeApiKey({ id: weakerId ?? '' });
    expect(apiKey?.revokedAt).toBeDefined();
  });
});

/** The id of the key with this secret. */
async function idOf(secret: string): Promise<string> {
  const { apiKeys } = await keysAs(service.secretKey).listApiKeys({ pageSize: 500 });
  const found = apiKeys.find(({ hint }) => hint.endsWith(secret.slice(-4)));
  return found?.id ?? '';
}

describe('a new key', () => {
  test('shows its secret once, and never again', async () => {
    const keys = keysAs(service.secretKey, 'connect json');
    const { apiKey, secret } = await keys.createApiKey({
      ...restricted({ scopes: ['events:write', 'events:read'] }),
      displayName: 'the till',
    });
    expect(secret).toMatch(/^hbr_rk_[0-9A-Za-z]{49}$/);
    expect(apiKey).toMatchObject({
      kind: ApiKeyKind.RESTRICTED,
      displayName: 'the till',
      hint: `hbr_rk_…${secret.slice(-4)}`,
      scopes: ['events:read', 'events:write'],
      workspaceIds: ['ws_a'],
      typePatterns: ['invoice.*'],
    });
    const { apiKeys } = await keys.listApiKeys({});
    expect(apiKeys[0]).toEqual(apiKey);
    expect(inspect(apiKeys, { depth: 9 })).not.toContain(secret.slice(8, -4));
  });

  test.each([
    ['a restricted key without a scope', restricted({ scopes: [] }), ['scopes']],
    ['a secret key with a scope', { kind: ApiKeyKind.SECRET, scopes: ['events:read'] }, ['scopes']],
    [
      'a secret key with a workspace',
      { kind: ApiKeyKind.SECRET, workspaceIds: ['ws_a'] },
      ['workspace_ids'],
    ],
    [
      'a secret key with a type',
      { kind: ApiKeyKind.SECRET, typePatterns: ['x'] },
      ['type_patterns'],
    ],
    ['a key of no kind', { kind: ApiKeyKind.UNSPECIFIED }, ['kind']],
    ['a scope that there is not', restricted({ scopes: ['events:delete'] }), ['scopes[0]']],
    ['a scope twice', restricted({ scopes: ['events:read', 'events:read'] }), ['scopes']],
    ['a "*" within a pattern', restricted({ typePatterns: ['a*b'] }), ['type_patterns[0]']],
  ])('is refused as %s', async (_what, request, fields) => {
    expect(await refusalOf(keysAs(service.secretKey).createApiKey(request))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields,
    });
  });

  test('of a workspace that there is not is refused, but only to whom that may be told', async () => {
    const request = restricted({ workspaceIds: ['ws_nowhere'] });
    const refusals = [service.secretKey, await issueMaker()].map(
      async (key) => (await refusalOf(keysAs(key).createApiKey(request))).reason,
    );
    expect(await Promise.all(refusals)).toEqual(['WORKSPACE_NOT_FOUND', 'API_KEY_EXCEEDS_CALLER']);
  });
});

describe('the list of keys', () => {
  test.each(['grpc', 'connect json'] as const)(
    'over %s shows each visible key once, newest first, past those that are hidden',
    async (wire) => {
      const patterns = [`${wire}.*`];
      const maker = await issueMaker({ typePatterns: patterns });
      const made: string[] = [];
      for (let n = 0; n < 5; n++) {
        const grant = restricted({ typePatterns: [`${wire}.${n}`] });
        made.unshift((await keysAs(maker, wire).createApiKey(grant)).apiKey?.id ?? '');
        await service.issueKey({ kind: 'secret' });
      }
      const pages: string[][] = [];
      let pageToken = '';
      do {
        const page = await keysAs(maker, wire).listApiKeys({ pageSize: 2, pageToken });
        pages.push(page.apiKeys.map(({ id }) => id));
        pageToken = page.nextPageToken;
        // What is made meanwhile is newer than all that is left.
        await keysAs(maker, wire).createApiKey(restricted({ typePatterns: [`${wire}.late`] }));
      } while (pageToken !== '');
      expect(pages.map(({ length }) => length)).toEqual([2, 2, 2]);
      expect(pages.flat().slice(0, 5)).toEqual(made);
      expect(pages.flat().at(-1)).toBe(await idOf(maker));
    },
  );

  test.each([
    ['of nobody', 'bm9uZQ'],
    ['that is no token', '*'],
  ])('refuses a page token %s', async (_what, pageToken) => {
    const call = keysAs(service.secretKey).listApiKeys({ pageToken });
    expect(await refusalOf(call)).toMatchObject({
      reason: 'INVALID_REQUEST',
      fields: ['page_token'],
    });
  });

  test('refuses a page of more than 500', async () => {
    const call = keysAs(service.secretKey).listApiKeys({ pageSize: 501 });
    expect(await refusalOf(call)).toMatchObject({ fields: ['page_size'] });
  });

  test('ends a page early where its keys are large, and shows all of them all the same', async () => {
    const workspace = 'ws_large';
    await service.app.workspaces.create(workspace, '');
    const typePatterns = Array.from({ length: 100 }, (_, n) => `${'ä'.repeat(250)}${n}`);
    const maker = await issueMaker({ workspaceIds: [workspace], typePatterns: [] });
    const grant = restricted({ workspaceIds: [workspace], typePatterns });
    const made: string[] = [];
    for (let n = 0; n < 60; n++) {
      made.unshift((await keysAs(maker).createApiKey(grant)).apiKey?.id ?? '');
    }
    const pages: string[][] = [];
    let pageToken = '';
    do {
      const page = await keysAs(maker).listApiKeys({ pageSize: 500, pageToken });
      pages.push(page.apiKeys.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(pages.flat().slice(0, 60)).toEqual(made);
    expect(Math.max(...pages.map(({ length }) => length))).toBeLessThan(50);
  });

  test('ends a page early where more keys are hidden than are read for one', async () => {
    const crowded = await startTestService();
    const reader = await crowded.issueKey({ scopes: ['api_keys:read'] });
    await crowded.database.query(
      `insert into api_keys
       select gen_random_uuid(), 'secret', '', '', int4send(n), '{}', '{}', '{}', now()
       from generate_series(1, 1500) as n`,
    );
    const keys = keysAs(reader, 'grpc', crowded);
    const first = await keys.listApiKeys({});
    expect(first.apiKeys).toEqual([]);
    const second = await keys.listApiKeys({ pageToken: first.nextPageToken });
    expect(second.apiKeys.map(({ scopes }) => scopes)).toEqual([['api_keys:read']]);
    expect(second.nextPageToken).toBe('');
    await crowded.stop();
  });

  test('costs few queries, however many keys are hidden', async () => {
    const database = await createTestDatabase();
    let queries = 0;
    const link = await startPostgresLink(database.url, (near, far) => {
      near.on('data', (chunk) => {
        queries += chunk.toString('latin1').split('from "api_keys"').length - 1;
      });
      near.pipe(far);
      far.pipe(near);
    });
    const crowded = await startTestService({}, { ...database, url: link.url });
    const reader = await crowded.issueKey({ scopes: ['api_keys:read'] });
    await database.query(
      `insert into api_keys
       select gen_random_uuid(), 'secret', '', '', int4send(n), '{}', '{}', '{}', now()
       from generate_series(1, 400) as n`,
    );
    queries = 0;
    const { apiKeys } = await keysAs(reader, 'grpc', crowded).listApiKeys({ pageSize: 1 });
    expect(apiKeys.map(({ scopes }) => scopes)).toEqual([['api_keys:read']]);
    // Of 401 keys, 100 a query.
    expect(queries).toBe(5);
    await crowded.stop();
    await link.stop();
    await database.drop();
  });
});

describe('two processes on one database', () => {
  let other: TestService;
  beforeAll(async () => {
    other = await startTestService({}, service.database);
  });
  afterAll(() => other.stop());

  test.each(['grpc', 'connect json'] as const)(
    'over %s: a key that one revokes is refused by the other within 5 seconds, its streams too',
    async (wire) => {
      const secret = await service.issueKey({ kind: 'secret' });
      const id = await idOf(secret);
      const events = createEventsClient({ ...other, secretKey: secret }, wire);
      const list = () =>
        events.listEvents({ workspaceId: 'ws_a' }).then(
          () => 'answered',
          (error) => refusalOf(Promise.reject(error)).then(({ reason }) => reason),
        );
      const stream = events.subscribeEvents({ workspaceId: 'ws_a' })[Symbol.asyncIterator]();
      expect((await stream.next()).value?.message.case).toBe('caughtUp');
      expect(await list()).toBe('answered');

      const { apiKey } = await keysAs(service.secretKey, wire).revokeApiKey({ id });
      const streamEnds = refusalOf(stream.next());
      await expect.poll(list, { timeout: 5_000, interval: 50 }).toBe('API_KEY_INVALID');
      expect(await streamEnds).toMatchObject({
        code: 'Unauthenticated',
        reason: 'API_KEY_INVALID',
      });

      const again = await keysAs(other.secretKey, wire, other).revokeApiKey({ id });
      expect(again.apiKey?.revokedAt).toEqual(apiKey?.revokedAt);
    },
  );

  test('last_used_at is when a key was last used, and known in the other process', async () => {
    const secret = await service.issueKey({ scopes: ['events:read'] });
    const id = await idOf(secret);
    const lastUsedAt = async () => {
      const { apiKeys } = await keysAs(other.secretKey, 'grpc', other).listApiKeys({});
      const used = apiKeys.find((apiKey) => apiKey.id === id)?.lastUsedAt;
      return used && timestampDate(used).getTime();
    };
    expect(await lastUsedAt()).toBeUndefined();
    const beforeMs = Date.now();
    await createEventsClient({ ...service, secretKey: secret }).listEvents({ workspaceId: 'ws_a' });
    const afterMs = Date.now();
    await expect.poll(lastUsedAt, { timeout: 20_000 }).toBeDefined();
    expect(await lastUsedAt()).toBeGreaterThanOrEqual(beforeMs);
    expect(await lastUsedAt()).toBeLessThanOrEqual(afterMs);
  }, 30_000);
});
