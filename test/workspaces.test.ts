import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { WorkspacesService } from '../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import { createEventsClient, createTransport, type Wire } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
/** For `ws_c` and `ws_e`, and for one that there is not yet. */
let narrow: string;
beforeAll(async () => {
  service = await startTestService();
  for (const id of ['ws_a', 'ws_b', 'ws_c', 'ws_d', 'ws_e']) {
    await service.app.workspaces.create(id, `named ${id}`);
  }
  narrow = await service.issueKey({
    scopes: ['workspaces:read', 'workspaces:write'],
    workspaceIds: ['ws_c', 'ws_e', 'ws_later'],
  });
});
afterAll(() => service.stop());

const workspacesAs = (secretKey: string, wire: Wire = 'grpc'): Client<typeof WorkspacesService> =>
  createClient(WorkspacesService, createTransport(wire, service.baseUrl, secretKey));

describe.each(['grpc', 'connect json'] as const)('over %s', (wire) => {
  test('a workspace gets an id of its own, or the one that is asked for', async () => {
    const workspaces = workspacesAs(service.secretKey, wire);
    const own = await workspaces.createWorkspace({ displayName: 'Größe 💡' });
    expect(own.workspace).toMatchObject({
      id: expect.stringMatching(/^ws_[0-9a-f]{20}$/),
      displayName: 'Größe 💡',
      lastSequence: 0n,
    });
    const id = `ws_${wire.replaceAll(/\W/g, '')}`;
    const asked = await workspaces.createWorkspace({ id });
    expect(asked.workspace?.id).toBe(id);
    expect((await workspaces.retrieveWorkspace({ id })).workspace).toEqual(asked.workspace);
    expect(await refusalOf(workspaces.createWorkspace({ id }))).toMatchObject({
      code: 'AlreadyExists',
      reason: 'WORKSPACE_ALREADY_EXISTS',
      metadata: { workspace_id: id },
    });
  });

  test.each([
    ['createWorkspace', 'workspaces:write', ['workspaces:read', 'api_keys:write']],
    ['retrieveWorkspace', 'workspaces:read', ['workspaces:write', 'api_keys:read']],
    ['listWorkspaces', 'workspaces:read', ['workspaces:write', 'api_keys:read']],
  ] as const)('a key without its scope cannot call %s', async (method, scope, scopes) => {
    const workspaces = workspacesAs(await service.issueKey({ scopes }), wire);
    const calls = {
      createWorkspace: () => workspaces.createWorkspace({}),
      retrieveWorkspace: () => workspaces.retrieveWorkspace({ id: 'ws_a' }),
      listWorkspaces: () => workspaces.listWorkspaces({}),
    };
    expect(await refusalOf(calls[method]())).toMatchObject({
      code: 'PermissionDenied',
      reason: 'SCOPE_MISSING',
      metadata: { scope },
    });
  });

  test('a key of some workspaces retrieves those; the others look like missing ones', async () => {
    const workspaces = workspacesAs(narrow, wire);
    const { workspace } = await workspaces.retrieveWorkspace({ id: 'ws_c' });
    expect(workspace?.displayName).toBe('named ws_c');
    const hidden = await refusalOf(workspaces.retrieveWorkspace({ id: 'ws_a' }));
    expect(hidden).toMatchObject({ code: 'NotFound', reason: 'WORKSPACE_NOT_FOUND' });
    const missing = await refusalOf(workspaces.retrieveWorkspace({ id: 'ws_nowhere' }));
    expect(JSON.stringify(hidden).replaceAll('ws_a', 'ws_nowhere')).toBe(JSON.stringify(missing));
  });

  test('a key of some workspaces has to name the one that it creates', async () => {
    const refusal = await refusalOf(workspacesAs(narrow, wire).createWorkspace({}));
    expect(refusal).toMatchObject({
      code: 'PermissionDenied',
      reason: 'WORKSPACE_NOT_ALLOWED',
      message:
        'the API key is restricted to workspaces, and cannot create one without its id: name one of those',
      metadata: {},
    });
  });

  test.each(['ws_a', 'ws_nowhere'])(
    'a key of some workspaces cannot create %j, whether it exists or not',
    async (id) => {
      const refusal = await refusalOf(workspacesAs(narrow, wire).createWorkspace({ id }));
      expect(refusal).toMatchObject({
        code: 'PermissionDenied',
        reason: 'WORKSPACE_NOT_ALLOWED',
        metadata: { workspace_id: id },
      });
    },
  );

  test('pages hold every workspace once, in the order of their ids', async () => {
    const workspaces = workspacesAs(service.secretKey, wire);
    const ids: string[] = [];
    let pageToken = '';
    do {
      const page = await workspaces.listWorkspaces({ pageSize: 2, pageToken });
      expect(page.workspaces.length).toBeGreaterThan(0);
      expect(page.workspaces.length).toBeLessThanOrEqual(2);
      ids.push(...page.workspaces.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    const stored = await service.database.query<{ id: string }>(
      'select id from workspaces order by id collate "C"',
    );
    expect(ids).toEqual(stored.map(({ id }) => id));
    expect(ids.length).toBeGreaterThan(5);
  });

  test('pages of a key of some workspaces hold those alone', async () => {
    const workspaces = workspacesAs(narrow, wire);
    const first = await workspaces.listWorkspaces({ pageSize: 1 });
    expect(first.workspaces.map(({ id }) => id)).toEqual(['ws_c']);
    const second = await workspaces.listWorkspaces({ pageSize: 1, pageToken: first.nextPageToken });
    expect(second.workspaces.map(({ id }) => id)).toEqual(['ws_e']);
    expect(second.nextPageToken).toBe('');
  });

  test.each([
    ['an id without its beginning', { id: 'acme' }, ['id']],
    ['an id with capitals', { id: 'ws_Acme' }, ['id']],
    ['an id of 65 characters', { id: `ws_${'a'.repeat(65)}` }, ['id']],
    ['a name with a newline', { displayName: 'a\nb' }, ['display_name']],
    ['a name of 256 characters', { displayName: 'a'.repeat(256) }, ['display_name']],
  ])('%s is refused', async (_what, request, fields) => {
    const call = workspacesAs(service.secretKey, wire).createWorkspace(request);
    expect(await refusalOf(call)).toMatchObject({ reason: 'INVALID_REQUEST', fields });
  });
});

test('a page token of another list is refused', async () => {
  const transport = createTransport('grpc', service.baseUrl, service.secretKey);
  const keys = await createClient(ApiKeysService, transport).listApiKeys({ pageSize: 1 });
  expect(keys.nextPageToken).not.toBe('');
  const call = workspacesAs(service.secretKey).listWorkspaces({ pageToken: keys.nextPageToken });
  expect(await refusalOf(call)).toMatchObject({ fields: ['page_token'] });
});

test('a key may create the one workspace that it is for', async () => {
  const { workspace } = await workspacesAs(narrow).createWorkspace({ id: 'ws_later' });
  expect(workspace?.id).toBe('ws_later');
});

test('last_sequence is that of the newest event', async () => {
  const events = createEventsClient(service);
  for (let n = 0; n < 3; n++) {
    await events.createEvent({ workspaceId: 'ws_b', type: 'counted', payload: { n } });
  }
  const { workspace } = await workspacesAs(service.secretKey).retrieveWorkspace({ id: 'ws_b' });
  expect(workspace?.lastSequence).toBe(3n);
});
