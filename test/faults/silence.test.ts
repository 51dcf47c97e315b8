import { createClient } from '@connectrpc/connect';
import { afterEach, expect, test } from 'vitest';
import { ApiKeyKind } from '../../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { ApiKeysService } from '../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { WorkspacesService } from '../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import { newId } from '../../src/type-id.ts';
import { createEventsClient, createTransport } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { type SilentPostgres, startSilentPostgres } from '../support/silent-postgres.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService, type TestService, testWorkspaceId } from '../support/test-service.ts';

let database: TestDatabase;
let postgres: SilentPostgres;
let service: TestService;

afterEach(async () => {
  postgres.speak();
  await service.stop();
  await postgres.stop();
  await database.drop();
});

const newEvent = { workspaceId: testWorkspaceId, type: 'tested', payload: {} };

/** What everything that waits for PostgreSQL is asked for, over connections of its own. */
function connect(secretKey: string) {
  const { baseUrl } = service;
  const transport = createTransport('grpc', baseUrl, secretKey);
  const events = createEventsClient({ baseUrl, secretKey });
  return {
    create: (workspaceId: string) => events.createEvent({ ...newEvent, workspaceId }),
    retrieve: (id: string) => events.retrieveEvent({ id }),
    list: () => events.listEvents({ workspaceId: testWorkspaceId }),
    subscribe: () =>
      events.subscribeEvents({ workspaceId: testWorkspaceId })[Symbol.asyncIterator]().next(),
    listKeys: () => createClient(ApiKeysService, transport).listApiKeys({}),
    listWorkspaces: () => createClient(WorkspacesService, transport).listWorkspaces({}),
    makeKey: () =>
      createClient(ApiKeysService, transport).createApiKey({
        kind: ApiKeyKind.RESTRICTED,
        scopes: ['events:read'],
      }),
    rename: () =>
      createClient(WorkspacesService, transport).updateWorkspace({
        id: testWorkspaceId,
        displayName: 'renamed',
      }),
  };
}

const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, n) => make(n));

test('while PostgreSQL says nothing every call that needs it fails in time, however many wait, and when it speaks again they work', async () => {
  database = await createTestDatabase();
  postgres = await startSilentPostgres(database.url);
  service = await startTestService({}, { ...database, url: postgres.url });
  const secrets = await Promise.all(times(9, () => service.issueKey({ kind: 'secret' })));
  const strangers = await Promise.all(times(40, () => service.issueKey({ kind: 'secret' })));
  const clients = secrets.map(connect);
  const created = await Promise.all(clients.map((client) => client.create(testWorkspaceId)));
  const id = created[0]?.event?.id ?? '';

  postgres.fallSilent();
  const settled: string[] = [];
  const told = new Set<string>();
  const fail = async (kind: string, call: Promise<unknown>) => {
    const { code, reason } = await refusalOf(call);
    told.add(`${code} ${reason}`);
    settled.push(kind);
  };
  const calls = clients.flatMap((client, n) => [
    ...times(60, () => fail('read', client.retrieve(newId('evt')))),
    ...times(20, () => fail('read', client.list())),
    ...times(5, () => fail('read', client.subscribe())),
    ...times(5, () => fail('read', client.listKeys())),
    ...times(5, () => fail('read', client.listWorkspaces())),
    ...times(5, (index) => fail('read', client.create(`ws_unseen${n}0${index}`))),
    ...times(5, () => fail('change', client.makeKey())),
    ...times(5, () => fail('change', client.rename())),
    ...times(60, () => fail('create', client.create(testWorkspaceId))),
  ]);
  const ofStrangers = strangers.map((secret) => fail('read', connect(secret).retrieve(id)));
  await Promise.all([...calls, ...ofStrangers]);
  expect([...told]).toEqual(['Unavailable DATABASE_UNAVAILABLE']);
  // Reads have 5 s, changes 8 and creates 15; the first of the creates wait for PostgreSQL itself, which takes 10 of
  // them.
  expect(settled.lastIndexOf('read')).toBeLessThan(settled.lastIndexOf('create'));
  expect(settled.lastIndexOf('change')).toBeLessThan(settled.lastIndexOf('create'));

  postgres.speak();
  const [client] = clients;
  expect(await client?.create(testWorkspaceId)).toMatchObject({ replayed: false });
  expect(await client?.retrieve(id)).toMatchObject({ event: { id } });
  expect((await client?.list())?.events.length).toBeGreaterThan(0);
  expect((await client?.listKeys())?.apiKeys.length).toBeGreaterThan(0);
  expect((await client?.rename())?.workspace?.displayName).toBe('renamed');
  expect((await client?.makeKey())?.secret).toMatch(/^hbr_rk_/);
  expect((await client?.listWorkspaces())?.workspaces).toHaveLength(1);
}, 30_000);
