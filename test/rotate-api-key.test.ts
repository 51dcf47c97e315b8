import { durationFromMs, timestampDate } from '@bufbuild/protobuf/wkt';
import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiKey, ApiKeyKind } from '../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { hashSecret, issueApiKey } from '../src/api-keys/index.ts';
import { createEventsClient, createTransport, type Wire } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { subscribeTo } from './support/subscriber.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let other: TestService;
beforeAll(async () => {
  service = await startTestService();
  other = await startTestService({}, service.database);
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

const minute = durationFromMs(60_000);
const unrestricted = { workspaceIds: [], typePatterns: [], expiresAt: undefined };
const readAndRotate = ['events:read', 'api_keys:write'];

/** A key that may read events and change keys of its like. */
async function issue(expiresAt?: Date): Promise<{ id: string; secret: string }> {
  const wish = { kind: 'restricted', displayName: 'turning', scopes: readAndRotate } as const;
  const { apiKey, secret } = await issueApiKey(service.app.apiKeys, {
    ...wish,
    ...unrestricted,
    expiresAt,
  });
  return { id: apiKey.id, secret };
}

/** What a read with a secret comes to. */
const readAs = (secret: string, at: TestService = service) =>
  createEventsClient({ ...at, secretKey: secret })
    .listEvents({ workspaceId: 'ws_test' })
    .then(
      () => 'answered',
      (error) => refusalOf(Promise.reject(error)).then(({ reason }) => reason),
    );

/** Ends every overlap, by the database's clock. */
const expireOldSecrets = () =>
  service.database.query('update api_key_old_secrets set expires_at = clock_timestamp()');

describe.each(['grpc', 'connect json'] as const)('over %s, a key that is rotated', (wire) => {
  test('has a new secret, and the old one works on for the overlap, as the same key', async () => {
    const { id, secret } = await issue();
    const beforeMs = Date.now();
    const answer = await keysAs(service.secretKey, wire).rotateApiKey({ id, overlap: minute });
    expect(answer.secret).toMatch(/^hbr_rk_[0-9A-Za-z]{49}$/);
    expect(answer.secret).not.toBe(secret);
    expect(answer.apiKey?.hint).toBe(`hbr_rk_…${answer.secret.slice(-4)}`);
    const endsAt = answer.apiKey?.oldSecretsExpireAt;
    expect(endsAt && timestampDate(endsAt).getTime()).toBeGreaterThanOrEqual(beforeMs + 60_000);
    for (const one of [secret, answer.secret]) {
      for (const at of [service, other]) expect(await readAs(one, at)).toBe('answered');
      const { apiKey } = await keysAs(one, wire).retrieveCaller({});
      expect(apiKey).toMatchObject({ id, hint: answer.apiKey?.hint });
      expect(apiKey?.oldSecretsExpireAt).toEqual(endsAt);
    }
  });

  test('without an overlap loses its old secret at once, in every process within 5 seconds', async () => {
    const { id, secret } = await issue();
    for (const at of [service, other]) expect(await readAs(secret, at)).toBe('answered');
    const answer = await keysAs(service.secretKey, wire).rotateApiKey({ id });
    expect(answer.apiKey?.oldSecretsExpireAt).toBeUndefined();
    for (const at of [service, other]) {
      await expect
        .poll(() => readAs(secret, at), { timeout: 5_000, interval: 50 })
        .toBe('API_KEY_INVALID');
      expect(await readAs(answer.secret, at)).toBe('answered');
    }
  });

  test('twice keeps both of its old secrets for their overlaps: a lost answer ends none in use', async () => {
    const { id, secret } = await issue();
    // With the secret in use itself, whose answer is lost each time.
    const lost = await keysAs(secret, wire).rotateApiKey({ id, overlap: minute });
    const answer = await keysAs(secret, wire).rotateApiKey({ id, overlap: durationFromMs(1_000) });
    for (const one of [secret, lost.secret, answer.secret]) {
      expect(await readAs(one)).toBe('answered');
    }
    const ends = [lost, answer].map(({ apiKey }) => apiKey?.oldSecretsExpireAt);
    expect(ends[1]).toEqual(ends[0]);
  });

  test('has at most 10 old secrets; past them it is rotated without an overlap, or later', async () => {
    const { id } = await issue();
    const master = keysAs(service.secretKey, wire);
    for (let n = 0; n < 10; n++) await master.rotateApiKey({ id, overlap: minute });
    expect(await refusalOf(master.rotateApiKey({ id, overlap: minute }))).toMatchObject({
      code: 'FailedPrecondition',
      reason: 'OLD_SECRETS_FULL',
      metadata: { old_secrets_max: '10' },
    });
    expect((await master.rotateApiKey({ id })).secret).not.toBe('');
    await expireOldSecrets();
    expect((await master.rotateApiKey({ id, overlap: minute })).secret).not.toBe('');
    const [left] = await service.database.query<{ count: number }>(
      'select count(*)::int from api_key_old_secrets where expires_at > clock_timestamp()',
    );
    expect(left?.count).toBe(1);
  });

  test('and then revoked is refused with every secret', async () => {
    const { id, secret } = await issue();
    const answer = await keysAs(service.secretKey, wire).rotateApiKey({ id, overlap: minute });
    const revoked = await keysAs(service.secretKey, wire).revokeApiKey({ id });
    expect(revoked.apiKey?.oldSecretsExpireAt).toBeUndefined();
    for (const one of [secret, answer.secret]) {
      await expect.poll(() => readAs(one), { timeout: 5_000 }).toBe('API_KEY_INVALID');
    }
  });

  test('cannot be rotated once it was revoked or has expired', async () => {
    const revoked = await issue();
    await service.app.apiKeys.revoke(revoked.id);
    const expired = await issue(new Date(Date.now() - 1));
    for (const { id } of [revoked, expired]) {
      expect(await refusalOf(keysAs(service.secretKey, wire).rotateApiKey({ id }))).toMatchObject({
        code: 'FailedPrecondition',
        reason: 'API_KEY_NOT_ACTIVE',
      });
    }
  });

  test('by whom could not have made it is not found, also where that one only expires earlier', async () => {
    const stronger = await issueApiKey(service.app.apiKeys, {
      kind: 'restricted',
      displayName: '',
      scopes: ['events:read', 'events:write'],
      ...unrestricted,
    });
    const { id: forEver } = await issue();
    const soon = new Date(Date.now() + 600_000);
    const { id: ownId, secret } = await issue(soon);
    const missingId = 'key_01hzy9q7x8f4kq3d2m5n6p7r8s';
    const rotate = (id: string) => keysAs(secret, wire).rotateApiKey({ id });
    const missing = await refusalOf(rotate(missingId));
    expect(missing).toMatchObject({ code: 'NotFound', reason: 'API_KEY_NOT_FOUND' });
    for (const id of [stronger.apiKey.id, forEver]) {
      const refusal = await refusalOf(rotate(id));
      expect(JSON.stringify(refusal).replaceAll(id, missingId)).toBe(JSON.stringify(missing));
    }
    const own = await keysAs(secret, wire).rotateApiKey({ id: ownId, overlap: minute });
    expect(own.apiKey?.expiresAt && timestampDate(own.apiKey.expiresAt)).toEqual(soon);
  });

  test.each([
    ['more than 7 days', durationFromMs(604_800_001)],
    ['less than nothing', durationFromMs(-1)],
  ])('with an overlap of %s is refused', async (_what, overlap) => {
    const { id } = await issue();
    const call = keysAs(service.secretKey, wire).rotateApiKey({ id, overlap });
    expect(await refusalOf(call)).toMatchObject({ reason: 'INVALID_REQUEST', fields: ['overlap'] });
  });

  test('without api_keys:write is not rotated', async () => {
    const { id } = await issue();
    const reader = await service.issueKey({ scopes: ['api_keys:read'] });
    const refusal = await refusalOf(keysAs(reader, wire).rotateApiKey({ id }));
    expect(refusal.metadata).toEqual({ scope: 'api_keys:write' });
  });
});

test('old secrets end with their key, whatever their overlap was', async () => {
  const expiresAt = new Date(Date.now() + 600_000);
  const { id } = await issue(expiresAt);
  const week = durationFromMs(604_800_000);
  const { apiKey } = await keysAs(service.secretKey).rotateApiKey({ id, overlap: week });
  const endOf = (one: ApiKey | undefined) =>
    one?.oldSecretsExpireAt && timestampDate(one.oldSecretsExpireAt);
  expect(endOf(apiKey)).toEqual(expiresAt);
  const earlier = new Date(Date.now() + 300_000);
  await service.app.apiKeys.update(id, { expiresAt: earlier });
  const listed = await keysAs(service.secretKey).retrieveApiKey({ id });
  expect(endOf(listed.apiKey)).toEqual(earlier);
});

const hashes = new Map<string, Buffer>();

test('a stream ends with the secret that opened it, and those of the new one go on', async () => {
  const { id, secret } = await issue();
  const request = { workspaceId: 'ws_test' };
  const asOld = subscribeTo(createEventsClient({ ...service, secretKey: secret }), request);
  const elsewhere = subscribeTo(createEventsClient({ ...other, secretKey: secret }), request);
  const { secret: fresh } = await service.app.apiKeys.rotate(id, 60_000);
  const asNew = subscribeTo(createEventsClient({ ...service, secretKey: fresh }), request);
  await Promise.all([asOld, elsewhere, asNew].map((one) => one.caughtUp()));
  await expireOldSecrets();
  for (const ended of [asOld.ended, elsewhere.ended]) {
    expect(await ended).toMatchObject({ code: 'Unauthenticated', reason: 'API_KEY_INVALID' });
  }
  await createEventsClient(service).createEvent({ ...request, type: 'still.there', payload: {} });
  await asNew.events(1);
  await asNew.leave();
});

test.each<[string, (id: string) => Promise<unknown>]>([
  ['was rotated away', (id) => service.app.apiKeys.rotate(id, 0)],
  ['was revoked', (id) => service.app.apiKeys.revoke(id)],
  [
    'has expired by the clock of the database',
    (id) =>
      service.database.query(
        'update api_keys set expires_at = clock_timestamp() where secret_hash = $1',
        [hashes.get(id)],
      ),
  ],
])(
  'a secret that %s makes and changes no key any more, though calls still pass',
  async (_what, end) => {
    const { id, secret } = await issue();
    hashes.set(id, hashSecret(secret));
    expect(await readAs(secret)).toBe('answered');
    await end(id);
    // Believed for 3 seconds, as reads show; what would live on is held against the database.
    expect(await readAs(secret)).toBe('answered');
    const keys = keysAs(secret);
    const child = { kind: ApiKeyKind.RESTRICTED, scopes: ['events:read'] };
    expect((await refusalOf(keys.createApiKey(child))).reason).toBe('API_KEY_INVALID');
    expect((await refusalOf(keys.rotateApiKey({ id }))).reason).toBe('API_KEY_INVALID');
  },
);

test('rotations at once each give a secret, of which the last one and no other is the key', async () => {
  const { id } = await issue();
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => service.app.apiKeys.rotate(id, 0)),
  );
  const outcomes = await Promise.all(answers.map(({ secret }) => readAs(secret)));
  expect(outcomes.toSorted()).toEqual([...new Array(7).fill('API_KEY_INVALID'), 'answered']);
});
