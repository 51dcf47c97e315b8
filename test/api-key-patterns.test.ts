import { createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiKeyKind } from '../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { createEventsClient, createTransport } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

/** What an array of PostgreSQL, written as text, would change or take for something else. */
const types = ['null', 'NULL', 'a"b', 'a\\b', '\\', '"', '{x}', 'a b', "a'b", 'ünï😀'];

test('a key has the patterns that it was given, whatever they read like', async () => {
  const keys = createClient(
    ApiKeysService,
    createTransport('grpc', service.baseUrl, service.secretKey),
  );
  const created = await keys.createApiKey({
    kind: ApiKeyKind.RESTRICTED,
    scopes: ['events:write'],
    typePatterns: types,
  });
  expect(created.apiKey?.typePatterns.toSorted()).toEqual(types.toSorted());
  const { apiKeys } = await keys.listApiKeys({});
  const listed = apiKeys.find(({ id }) => id === created.apiKey?.id);
  expect(listed?.typePatterns.toSorted()).toEqual(types.toSorted());

  const client = createEventsClient({ ...service, secretKey: created.secret });
  const event = { workspaceId: service.workspaceId, payload: {} };
  for (const type of types) {
    expect((await client.createEvent({ ...event, type })).event?.type).toBe(type);
  }
  const other = client.createEvent({ ...event, type: 'b' });
  expect(await refusalOf(other)).toMatchObject({ reason: 'EVENT_TYPE_NOT_ALLOWED' });
});

test('a pattern with a blank at its end, as keys of before may have it, does not lose it', async () => {
  const secretKey = await service.issueKey({
    scopes: ['events:write'],
    typePatterns: [' padded', 'padded\t'],
  });
  const call = createEventsClient({ ...service, secretKey }).createEvent({
    workspaceId: service.workspaceId,
    type: 'padded',
    payload: {},
  });
  expect(await refusalOf(call)).toMatchObject({ reason: 'EVENT_TYPE_NOT_ALLOWED' });
});
