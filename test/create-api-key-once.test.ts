import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiKeyKind } from '../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import {
  ApiKeysService,
  type CreateApiKeyRequestSchema,
} from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { createTransport, type Wire } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { startPostgresProxy } from './support/postgres-proxy.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let other: TestService;
beforeAll(async () => {
  service = await startTestService();
  other = await startTestService({}, service.database);
  for (const id of ['ws_a', 'ws_b']) await service.app.workspaces.create(id, '');
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});

const keysAs = (
  secretKey: string,
  wire: Wire = 'grpc',
  at: TestService = service,
): Client<typeof ApiKeysService> =>
  createClient(ApiKeysService, createTransport(wire, at.baseUrl, secretKey));

type Request = MessageInitShape<typeof CreateApiKeyRequestSchema>;
const expiresAt = timestampFromDate(new Date('2100-01-01T00:00:00Z'));
const request = (requestId: string, rest: Partial<Request> = {}): Request => ({
  kind: ApiKeyKind.RESTRICTED,
  displayName: 'once',
  scopes: ['events:read', 'events:write'],
  workspaceIds: ['ws_a', 'ws_b'],
  typePatterns: ['invoice.*'],
  expiresAt,
  requestId,
  ...rest,
});

/** How many keys a request has made. */
async function countMade(requestId: string): Promise<number> {
  const [row] = await service.database.query<{ count: number }>(
    'select count(*)::int from api_keys where request_id = $1',
    [requestId],
  );
  return row?.count ?? -1;
}

describe.each(['grpc', 'connect json'] as const)('over %s, a create with a request_id', (wire) => {
  const idOf = (name: string) => `${wire} ${name}`;

  test('that is repeated returns the key that it made, replayed and without its secret', async () => {
    const requestId = idOf('repeated');
    const first = await keysAs(service.secretKey, wire).createApiKey(request(requestId));
    expect(first).toMatchObject({ replayed: false, secret: expect.stringMatching(/^hbr_rk_/) });
    const inAnotherOrder = {
      scopes: ['events:write', 'events:read'],
      workspaceIds: ['ws_b', 'ws_a'],
    };
    for (const at of [service, other]) {
      for (const rest of [{}, inAnotherOrder]) {
        const again = await keysAs(service.secretKey, wire, at).createApiKey(
          request(requestId, rest),
        );
        expect(again).toMatchObject({ replayed: true, secret: '' });
        expect(again.apiKey).toEqual(first.apiKey);
      }
    }
    expect(await countMade(requestId)).toBe(1);
  });

  test('that is sent 16 times at once, to two processes, makes one key', async () => {
    const requestId = idOf('at once');
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, n) =>
        keysAs(service.secretKey, wire, n % 2 === 0 ? service : other).createApiKey(
          request(requestId),
        ),
      ),
    );
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(answers.filter(({ secret }) => secret !== '')).toHaveLength(1);
    expect(new Set(answers.map(({ apiKey }) => apiKey?.id)).size).toBe(1);
    expect(await countMade(requestId)).toBe(1);
  });

  test.each<[string, Partial<Request>]>([
    ['another kind', { kind: ApiKeyKind.SECRET, scopes: [], workspaceIds: [], typePatterns: [] }],
    ['another name', { displayName: 'twice' }],
    ['another scope', { scopes: ['events:read'] }],
    ['another workspace', { workspaceIds: ['ws_a'] }],
    ['every workspace', { workspaceIds: [] }],
    ['another type', { typePatterns: ['invoice.paid'] }],
    ['no end', { expiresAt: undefined }],
  ])('and with %s is refused, names the key, and stores nothing', async (what, rest) => {
    const keys = keysAs(service.secretKey, wire);
    const requestId = idOf(what);
    const { apiKey } = await keys.createApiKey(request(requestId));
    expect(await refusalOf(keys.createApiKey(request(requestId, rest)))).toMatchObject({
      code: 'AlreadyExists',
      reason: 'REQUEST_ID_REUSED',
      metadata: { api_key_id: apiKey?.id },
    });
    expect(await countMade(requestId)).toBe(1);
  });

  test('is of its caller alone: another one makes a key of its own with it', async () => {
    const requestId = idOf('of two');
    const mine = await keysAs(service.secretKey, wire).createApiKey(request(requestId));
    const theirs = await keysAs(other.secretKey, wire).createApiKey(
      request(requestId, { displayName: 'theirs' }),
    );
    expect(theirs.replayed).toBe(false);
    expect(theirs.apiKey?.id).not.toBe(mine.apiKey?.id);
  });

  test('holds for 24 hours by the clock of the database, and then makes another key', async () => {
    const keys = keysAs(service.secretKey, wire);
    const requestId = idOf('a day later');
    const first = await keys.createApiKey(request(requestId));
    const backdate = (interval: string) =>
      service.database.query(
        `update api_keys set created_at = clock_timestamp() - $2::interval where request_id = $1`,
        [requestId, interval],
      );
    await backdate('23 hours 59 minutes');
    expect((await keys.createApiKey(request(requestId))).replayed).toBe(true);
    await backdate('24 hours');
    const later = await keys.createApiKey(request(requestId, { displayName: 'later' }));
    expect(later.replayed).toBe(false);
    expect(later.apiKey?.id).not.toBe(first.apiKey?.id);
    expect(await countMade(requestId)).toBe(1);
  });

  test('also of a caller that shows an old secret of its key', async () => {
    const requestId = idOf('rotated');
    const maker = await service.issueKey({ kind: 'secret' });
    const { apiKey } = await keysAs(maker, wire).retrieveCaller({});
    const first = await keysAs(maker, wire).createApiKey(request(requestId));
    const { secret } = await service.app.apiKeys.rotate(apiKey?.id ?? '', 60_000);
    for (const one of [maker, secret]) {
      const again = await keysAs(one, wire).createApiKey(request(requestId));
      expect(again).toMatchObject({ replayed: true, apiKey: { id: first.apiKey?.id } });
    }
  });

  test('shows the key as it is now: renamed, revoked, its workspace deleted', async () => {
    const keys = keysAs(service.secretKey, wire);
    const requestId = idOf('changed');
    const workspaceId = `ws_gone${wire.length}`;
    await service.app.workspaces.create(workspaceId, '');
    const own = request(requestId, { workspaceIds: [workspaceId] });
    const first = await keys.createApiKey(own);
    const id = first.apiKey?.id ?? '';
    await keys.updateApiKey({ id, displayName: 'renamed' });
    await keys.revokeApiKey({ id });
    await service.app.workspaces.delete(workspaceId);
    const again = await keys.createApiKey(own);
    expect(again).toMatchObject({ replayed: true, secret: '' });
    expect(again.apiKey).toMatchObject({ id, displayName: 'renamed' });
    expect(again.apiKey?.revokedAt).toBeDefined();
  });

  test('that was refused holds nothing: the corrected one makes the key', async () => {
    const keys = keysAs(service.secretKey, wire);
    const requestId = idOf('corrected');
    const wrong = keys.createApiKey(request(requestId, { workspaceIds: ['ws_nowhere'] }));
    expect((await refusalOf(wrong)).reason).toBe('WORKSPACE_NOT_FOUND');
    expect((await keys.createApiKey(request(requestId))).replayed).toBe(false);
  });

  test('may have any printable character in its id and name', async () => {
    const keys = keysAs(service.secretKey, wire);
    const text = `it's "$1" ? \\ ; -- %s :a \${b} ${wire}`;
    const odd = request(text, { displayName: `${text} 💡` });
    const first = await keys.createApiKey(odd);
    expect(first.apiKey?.displayName).toBe(`${text} 💡`);
    expect(await keys.createApiKey(odd)).toMatchObject({ replayed: true, apiKey: first.apiKey });
    const renamed = await keys.updateApiKey({
      id: first.apiKey?.id ?? '',
      displayName: `${text}!`,
    });
    expect(renamed.apiKey?.displayName).toBe(`${text}!`);
  });

  test.each(['a'.repeat(256), 'a\nb', 'é'])('%j is refused', async (requestId) => {
    const call = keysAs(service.secretKey, wire).createApiKey(request(requestId));
    expect(await refusalOf(call)).toMatchObject({ fields: ['request_id'] });
  });
});

test('without a request_id every create makes a key', async () => {
  const keys = keysAs(service.secretKey);
  const answers = [await keys.createApiKey(request('')), await keys.createApiKey(request(''))];
  expect(new Set(answers.map(({ apiKey }) => apiKey?.id)).size).toBe(2);
  expect(answers.map(({ replayed }) => replayed)).toEqual([false, false]);
});

test('a create whose answer was lost is there once, and the repeat and a rotation give a secret', async () => {
  const proxy = await startPostgresProxy(service.database.url);
  const behind = await startTestService({}, { ...service.database, url: proxy.url });
  const keys = keysAs(behind.secretKey, 'grpc', behind);
  // The transaction that holds this record is cut off at its commit.
  const cut = proxy.loseAnswerTo('api_key.created', 'COMMIT');
  const lost = refusalOf(keys.createApiKey(request('lost')));
  await cut;
  expect((await lost).reason).toBe('DATABASE_UNAVAILABLE');
  const { apiKey, replayed } = await keys.createApiKey(request('lost'));
  expect(replayed).toBe(true);
  expect(await countMade('lost')).toBe(1);
  const { secret } = await keys.rotateApiKey({ id: apiKey?.id ?? '' });
  const caller = await keysAs(secret, 'grpc', behind).retrieveCaller({});
  expect(caller.apiKey?.id).toBe(apiKey?.id);
  await behind.stop();
  await proxy.stop();
});
