import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiKeyKind } from '../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { createEventsClient, createTransport, type Wire } from './support/clients.ts';
import { connectPost, refusalIn } from './support/connect-post.ts';
import { refusalOf } from './support/errors.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const keysAs = (secretKey: string, wire: Wire = 'grpc'): Client<typeof ApiKeysService> =>
  createClient(ApiKeysService, createTransport(wire, service.baseUrl, secretKey));

/** The last second of the year 9999. */
const lastSecond = 253_402_300_799n;
const nextYear = BigInt(Math.floor(Date.now() / 1000) + 31_536_000);

/** What a binary client can put into a google.protobuf.Timestamp. */
const impossible: [string, { seconds: bigint; nanos: number }][] = [
  ['of the year 10000', { seconds: lastSecond + 1n, nanos: 0 }],
  ['of the year 20000', { seconds: 568_971_820_800n, nanos: 0 }],
  ['of the year 292277026596', { seconds: 9_223_372_036_854_775_807n, nanos: 0 }],
  ['of the year -292277022657', { seconds: -9_223_372_036_854_775_808n, nanos: 0 }],
  ['with negative nanos', { seconds: nextYear, nanos: -1 }],
  ['with the least nanos', { seconds: nextYear, nanos: -2_147_483_648 }],
  ['with a second of nanos', { seconds: nextYear, nanos: 1_000_000_000 }],
  ['with the most nanos', { seconds: nextYear, nanos: 2_147_483_647 }],
  ['with a nanosecond more than there are', { seconds: lastSecond, nanos: 1_000_000_000 }],
];
const binaryWires = ['grpc', 'grpc-web', 'connect binary'] as const;

describe.each(binaryWires)('over %s', (wire) => {
  test.each(impossible)('no key is made that expires at a time %s', async (_what, expiresAt) => {
    const before = await countKeys();
    const call = keysAs(service.secretKey, wire).createApiKey({
      kind: ApiKeyKind.SECRET,
      expiresAt,
    });
    expect(await refusalOf(call)).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['expires_at'],
    });
    expect(await countKeys()).toBe(before);
  });

  test.each(['createdAfter', 'createdBefore'])(
    'no page is read by %s at such a time',
    async (bound) => {
      for (const [, time] of impossible) {
        const request = { workspaceId: service.workspaceId, [bound]: time };
        expect(
          await refusalOf(createEventsClient(service, wire).listEvents(request)),
        ).toMatchObject({
          code: 'InvalidArgument',
          reason: 'INVALID_REQUEST',
          fields: [bound === 'createdAfter' ? 'created_after' : 'created_before'],
        });
      }
    },
  );
});

async function countKeys(): Promise<number> {
  const [row] = await service.database.query<{ count: number }>(
    'select count(*)::int from api_keys',
  );
  return row?.count ?? -1;
}

const createByJson = (expiresAt: string) =>
  connectPost(
    service,
    '/harbor.api_keys.v1.ApiKeysService/CreateApiKey',
    JSON.stringify({ kind: 'API_KEY_KIND_SECRET', expiresAt }),
    { authorization: `Bearer ${service.secretKey}` },
  );

test.each(['9999-12-31T23:59:59-14:00', '9999-12-31T23:59:59-00:01'])(
  'by JSON, %s is beyond the year 9999',
  async (time) => {
    expect(await refusalIn(await createByJson(time))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      message: expect.stringContaining('must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z'),
    });
  },
);

test('a key may expire at the last moment of the year 9999, and is listed with it by JSON', async () => {
  const created = await createByJson('9999-12-31T23:59:59.999999999Z');
  expect(created.status).toBe(200);
  expect(JSON.parse(created.text).apiKey.expiresAt).toBe('9999-12-31T23:59:59.999Z');
  const listed = await keysAs(service.secretKey, 'connect json').listApiKeys({});
  expect(listed.apiKeys[0]?.expiresAt).toEqual(
    expect.objectContaining({ seconds: lastSecond, nanos: 999_000_000 }),
  );
});

test.each([0n, 1_000_000_000n])(
  'a key that has expired already, in second %s, is refused',
  async (seconds) => {
    const call = keysAs(service.secretKey).createApiKey({
      kind: ApiKeyKind.SECRET,
      expiresAt: { seconds, nanos: 0 },
    });
    expect(await refusalOf(call)).toMatchObject({
      code: 'InvalidArgument',
      fields: ['expires_at'],
      message: expect.stringContaining('greater than now'),
    });
  },
);

describe('a key that expires', () => {
  const endMs = Number(nextYear) * 1000 + 5;
  const end = { seconds: nextYear, nanos: 5_000_000 };
  let maker: string;
  beforeAll(async () => {
    maker = await service.issueKey({
      scopes: ['api_keys:write', 'events:read'],
      expiresAt: new Date(endMs),
    });
  });
  const make = (expiresAt?: { seconds: bigint; nanos: number }) =>
    keysAs(maker).createApiKey({
      kind: ApiKeyKind.RESTRICTED,
      scopes: ['events:read'],
      ...(expiresAt && { expiresAt }),
    });

  test.each([
    ['never', undefined],
    ['a millisecond later', { seconds: nextYear, nanos: 6_000_000 }],
    ['a second later', { seconds: nextYear + 1n, nanos: 0 }],
    ['in the year 9999', { seconds: lastSecond, nanos: 999_999_999 }],
  ])('makes none that ends %s', async (_when, expiresAt) => {
    expect(await refusalOf(make(expiresAt))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'API_KEY_EXCEEDS_CALLER',
      metadata: { exceeds: 'expires_at' },
    });
  });

  test.each([
    ['at its own end', end, endMs],
    ['a nanosecond before it', { seconds: nextYear, nanos: 4_999_999 }, endMs - 1],
    // Rounded down, so that it is no later.
    ['within its own last millisecond', { seconds: nextYear, nanos: 5_999_999 }, endMs],
  ])('makes one that ends %s', async (_when, expiresAt, expectedMs) => {
    const { apiKey } = await make(expiresAt);
    const [row] = await service.database.query<{ expires_at: Date }>(
      'select expires_at from api_keys order by id desc limit 1',
    );
    expect(row?.expires_at.getTime()).toBe(expectedMs);
    expect(apiKey?.expiresAt?.nanos).toBe((expectedMs % 1000) * 1_000_000);
  });
});
