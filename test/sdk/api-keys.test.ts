import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  AuthenticationError,
  Harbor,
  HarborError,
  InvalidRequestError,
  NotFoundError,
  PermissionError,
} from '../../sdk/src/index.ts';
import { startTestService, type TestService } from '../support/test-service.ts';
import { losingFirstAnswer } from './lost-answers.ts';

let service: TestService;
let harbor: Harbor;
beforeAll(async () => {
  service = await startTestService();
  harbor = connect(service.secretKey);
});
afterAll(() => service.stop());

function connect(secretKey: string | undefined, options = {}): Harbor {
  return new Harbor({ secretKey, baseUrl: service.baseUrl, maxRetries: 0, ...options });
}

const reader = { kind: 'restricted', scopes: ['events:read'] } as const;

async function catchError(call: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    return error;
  }
}

test('a key is created, changed, rotated and revoked, and says of itself what it is', async () => {
  const expiresAt = new Date(Date.now() + 3_600_000);
  const created = await harbor.apiKeys.create({
    kind: 'restricted',
    displayName: 'billing',
    scopes: ['events:write', 'events:read'],
    workspaceIds: [service.workspaceId],
    typePatterns: ['invoice.*'],
    expiresAt,
    rateLimits: { createsPerSecond: 100, streams: 5 },
  });
  expect(created).toEqual({
    id: expect.stringMatching(/^key_[0-9a-z]{26}$/),
    kind: 'restricted',
    displayName: 'billing',
    hint: `hbr_rk_…${created.secret?.slice(-4)}`,
    scopes: ['events:read', 'events:write'],
    workspaceIds: [service.workspaceId],
    typePatterns: ['invoice.*'],
    createdAt: expect.any(Date),
    expiresAt,
    rateLimits: { createsPerSecond: 100, streams: 5 },
    secret: expect.stringMatching(/^hbr_rk_/),
    replayed: false,
  });
  const { id, secret, replayed: _, ...apiKey } = created;
  expect(await harbor.apiKeys.retrieve(id)).toEqual({ id, ...apiKey });
  expect(await connect(secret).caller.retrieve()).toMatchObject({ id, ...apiKey });

  const sooner = new Date(expiresAt.getTime() - 60_000);
  const changes = {
    displayName: 'billing, EU',
    expiresAt: sooner,
    rateLimits: { createsPerSecond: null, createBytesPerSecond: 50_000, burstSeconds: 2 },
  };
  expect(await harbor.apiKeys.update(id, changes)).toMatchObject({
    displayName: 'billing, EU',
    expiresAt: sooner,
    scopes: ['events:read', 'events:write'],
  });
  const { rateLimits } = await harbor.apiKeys.retrieve(id);
  expect(rateLimits).toEqual({ createBytesPerSecond: 50_000, burstSeconds: 2, streams: 5 });

  const rotated = await harbor.apiKeys.rotate(id, { overlapMs: 60_000 });
  expect(rotated).toMatchObject({ id, oldSecretsExpireAt: expect.any(Date) });
  for (const works of [secret, rotated.secret]) {
    expect((await connect(works).caller.retrieve()).id).toBe(id);
  }
  expect(await harbor.apiKeys.revoke(id)).toMatchObject({ id, revokedAt: expect.any(Date) });
  const refused = await catchError(connect(rotated.secret).caller.retrieve());
  expect(refused).toBeInstanceOf(AuthenticationError);
});

test('null takes all limits off a key, and what is left out leaves them', async () => {
  const limited = { ...reader, rateLimits: { streams: 5, createsPerSecond: 1 } };
  const { id } = await harbor.apiKeys.create(limited);
  const named = await harbor.apiKeys.update(id, { displayName: 'named' });
  expect(named.rateLimits).toEqual({ streams: 5, createsPerSecond: 1 });
  expect(await harbor.apiKeys.update(id, { rateLimits: null })).not.toHaveProperty('rateLimits');
});

test('a secret key is one, of all scopes or of those that read and write', async () => {
  const plain = await harbor.apiKeys.create({ kind: 'secret' });
  expect(plain).toMatchObject({ kind: 'secret', scopes: [] });
  expect(plain.secret).toMatch(/^hbr_sk_/);
  const all = await harbor.apiKeys.create({ kind: 'secret', scopes: ['all'] });
  expect(all).toMatchObject({ kind: 'secret', scopes: ['all'] });
});

test('keys are iterated page after page, newest first', async () => {
  const made: string[] = [];
  for (let n = 0; n < 5; n++) made.unshift((await harbor.apiKeys.create(reader)).id);
  const seen: string[] = [];
  for await (const { id } of harbor.apiKeys.list({ pageSize: 2 })) seen.push(id);
  expect(seen.slice(0, 5)).toEqual(made);
  const page = await harbor.apiKeys.list();
  expect(page.items.map(({ id }) => id)).toEqual(seen);
});

test('a create whose answer is lost makes one key, and shows a secret that works', async () => {
  const losing = connect(service.secretKey, { maxRetries: 1, fetch: losingFirstAnswer() });
  const displayName = 'lost on its way';
  const created = await losing.apiKeys.create({ ...reader, displayName });
  expect(created.replayed).toBe(false);
  expect((await connect(created.secret).caller.retrieve()).id).toBe(created.id);
  const { items } = await harbor.apiKeys.list();
  expect(items.filter((one) => one.displayName === displayName)).toHaveLength(1);
});

test('a create with the same request id makes one key, and does not show its secret again', async () => {
  const create = (displayName: string) =>
    harbor.apiKeys.create({ ...reader, displayName }, { requestId: 'deploy-1' });
  const { secret, ...first } = await create('once');
  expect(secret).toMatch(/^hbr_rk_/);
  expect(await create('once')).toEqual({ ...first, replayed: true });
  expect((await connect(secret).caller.retrieve()).id).toBe(first.id);
  const error = await catchError(create('twice'));
  expect(error).toBeInstanceOf(HarborError);
  expect(error).toMatchObject({ code: 'already_exists', reason: 'REQUEST_ID_REUSED' });
});

test('a key makes and sees none that may do more than itself, and one that is not there is not found', async () => {
  const scopes = ['api_keys:read', 'api_keys:write'];
  const rateLimits = { streams: 10 };
  const { secret } = await harbor.apiKeys.create({ kind: 'restricted', scopes, rateLimits });
  const own = connect(secret);
  expect(await catchError(own.apiKeys.create({ kind: 'secret' }))).toBeInstanceOf(PermissionError);
  const above = { kind: 'restricted', scopes, rateLimits: { streams: 11 } } as const;
  const error = await catchError(own.apiKeys.create(above));
  expect(error).toMatchObject({
    reason: 'API_KEY_EXCEEDS_CALLER',
    metadata: { exceeds: 'rate_limits.streams' },
  });
  const { id } = await harbor.apiKeys.create(reader);
  expect(await catchError(own.apiKeys.retrieve(id))).toBeInstanceOf(NotFoundError);
  const { secret: readers } = await harbor.apiKeys.create(reader);
  expect(await catchError(connect(readers).apiKeys.list())).toMatchObject({
    reason: 'SCOPE_MISSING',
    metadata: { scope: 'api_keys:read' },
  });
});

test('what could not be meant is refused before it is sent, by its field', async () => {
  const { id } = await harbor.apiKeys.create(reader);
  const create = (wrong: object) => harbor.apiKeys.create({ ...reader, ...wrong });
  const limit = (rateLimits: unknown) => harbor.apiKeys.update(id, { rateLimits } as never);
  const wrong: [string, Promise<unknown>][] = [
    ['kind', create({ kind: undefined })],
    ['kind', create({ kind: 'admin' })],
    ['scopes', create({ scopes: 'events:read' })],
    ['scopes[0]', create({ scopes: [1] })],
    ['workspaceIds', create({ workspaceIds: new Set(['ws_1']) })],
    ['typePatterns[1]', create({ typePatterns: ['a', null] })],
    ['expiresAt', create({ expiresAt: '2030-01-01' })],
    ['rateLimits', create({ rateLimits: null })],
    ['rateLimits.streams', create({ rateLimits: { streams: null } })],
    ['rateLimits.streams', create({ rateLimits: { streams: Number.NaN } })],
    ['rateLimits.creates_per_second', create({ rateLimits: { creates_per_second: 1 } })],
    ['rateLimits.createsPerSecond', limit({ createsPerSecond: 0 })],
    ['rateLimits.createBytesPerSecond', limit({ createBytesPerSecond: 1_023 })],
    ['rateLimits.burstSeconds', limit({ burstSeconds: 1e10 })],
    ['rateLimits', limit(5)],
    ['overlapMs', harbor.apiKeys.rotate(id, { overlapMs: -1 })],
    ['requestId', harbor.apiKeys.create(reader, { requestId: '' })],
    ['id', harbor.apiKeys.revoke(undefined as never)],
  ];
  for (const [field, call] of wrong) {
    const error = await catchError(call);
    expect(error).toBeInstanceOf(InvalidRequestError);
    expect(error).toMatchObject({ violations: [{ field }], requestId: undefined });
  }
  const refused = await catchError(create({ scopes: ['events:fly'] }));
  expect(refused).toMatchObject({ violations: [{ field: 'scopes[0]' }] });
});
