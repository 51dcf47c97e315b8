import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiKeyKind } from '../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { AuditService } from '../gen/typescript/harbor/audit/v1/audit_service_pb.ts';
import { WorkspacesService } from '../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
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

const workspacesAs = (
  secretKey: string,
  wire: Wire = 'grpc',
  at: TestService = service,
): Client<typeof WorkspacesService> =>
  createClient(WorkspacesService, createTransport(wire, at.baseUrl, secretKey));

let made = 0;
async function makeWorkspace(retentionDays = 0): Promise<string> {
  const id = `ws_made${made++}`;
  await service.app.workspaces.create(id, 'As it was', { retentionDays });
  return id;
}

describe.each(['grpc', 'connect json'] as const)('over %s', (wire) => {
  test('a workspace is renamed, its retention changed, and what is unset stays', async () => {
    const workspaces = workspacesAs(service.secretKey, wire);
    const id = await makeWorkspace();
    const update = async (request: { displayName?: string; retentionDays?: number }) =>
      (await workspaces.updateWorkspace({ id, ...request })).workspace;
    expect(await update({ displayName: 'Renamed' })).toMatchObject({
      displayName: 'Renamed',
      retentionDays: 0,
      firstSequence: 1n,
    });
    expect(await update({ retentionDays: 7 })).toMatchObject({
      displayName: 'Renamed',
      retentionDays: 7,
    });
    expect(await update({ displayName: '', retentionDays: 36_500 })).toMatchObject({
      displayName: '',
      retentionDays: 36_500,
    });
    const now = await update({});
    expect(await update({ retentionDays: 0 })).toEqual({ ...now, retentionDays: 0 });
    const { workspace } = await workspaces.retrieveWorkspace({ id });
    expect(workspace).toMatchObject({ displayName: '', retentionDays: 0 });
  });

  test('a workspace is created with a retention', async () => {
    const workspaces = workspacesAs(service.secretKey, wire);
    const { workspace } = await workspaces.createWorkspace({ retentionDays: 30 });
    expect(workspace).toMatchObject({ retentionDays: 30, firstSequence: 1n, lastSequence: 0n });
    const found = await workspaces.retrieveWorkspace({ id: workspace?.id ?? '' });
    expect(found.workspace).toEqual(workspace);
  });

  test.each([-1, 1, 6, 36_501])('a retention of %i days is refused', async (retentionDays) => {
    const workspaces = workspacesAs(service.secretKey, wire);
    const id = await makeWorkspace();
    for (const call of [
      workspaces.updateWorkspace({ id, retentionDays }),
      workspaces.createWorkspace({ retentionDays }),
    ]) {
      expect(await refusalOf(call)).toMatchObject({
        code: 'InvalidArgument',
        reason: 'INVALID_REQUEST',
        fields: ['retention_days'],
      });
    }
  });

  test.each([
    ['from for ever', 0, 36_500],
    ['from 30 days', 30, 29],
  ])('to shorten retention %s needs events:erase besides', async (_what, before, after) => {
    const id = await makeWorkspace(before);
    const writer = await service.issueKey({ scopes: ['workspaces:write'] });
    const shorten = (secretKey: string) =>
      workspacesAs(secretKey, wire).updateWorkspace({ id, retentionDays: after });
    expect(await refusalOf(shorten(writer))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'SCOPE_MISSING',
      metadata: { scope: 'events:erase' },
    });
    const ofSomeTypes = await service.issueKey({ scopes: ['all'], typePatterns: ['invoice.*'] });
    expect(await refusalOf(shorten(ofSomeTypes))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'EVENT_TYPE_NOT_ALLOWED',
      metadata: { type: '*' },
    });
    expect((await service.app.workspaces.find(id))?.retentionDays).toBe(before || undefined);
    const eraser = await service.issueKey({ scopes: ['workspaces:write', 'events:erase'] });
    expect((await shorten(eraser)).workspace?.retentionDays).toBe(after);
  });

  test.each([
    ['longer', 60],
    ['for ever', 0],
    ['as before', 30],
  ])('to let events be kept %s needs no more than workspaces:write', async (_what, after) => {
    const id = await makeWorkspace(30);
    const writer = await service.issueKey({ scopes: ['workspaces:write'] });
    const { workspace } = await workspacesAs(writer, wire).updateWorkspace({
      id,
      retentionDays: after,
    });
    expect(workspace?.retentionDays).toBe(after);
  });

  test.each([
    ['workspaces:write', ['events:erase', 'workspaces:read']],
    ['events:erase', ['workspaces:write', 'events:write']],
  ])('without %s no workspace is deleted', async (scope, scopes) => {
    const id = await makeWorkspace();
    const workspaces = workspacesAs(await service.issueKey({ scopes }), wire);
    expect(await refusalOf(workspaces.deleteWorkspace({ id }))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'SCOPE_MISSING',
      metadata: { scope },
    });
    expect(await service.app.workspaces.find(id)).toBeDefined();
  });

  test('a key of other workspaces changes and deletes none: it looks like a missing one', async () => {
    const id = await makeWorkspace();
    const elsewhere = await service.issueKey({ scopes: ['all'], workspaceIds: ['ws_test'] });
    const workspaces = workspacesAs(elsewhere, wire);
    const calls = (of: string) => [
      workspaces.updateWorkspace({ id: of, displayName: 'mine' }),
      workspaces.deleteWorkspace({ id: of }),
    ];
    const told = async (of: string) =>
      JSON.stringify(await Promise.all(calls(of).map(refusalOf))).replaceAll(of, 'THE_ID');
    expect(await told(id)).toContain('WORKSPACE_NOT_FOUND');
    expect(await told(id)).toBe(await told('ws_nowhere'));
  });
});

test('changes are in the audit, with the key and the request that made them', async () => {
  const id = await makeWorkspace();
  const headers = { 'x-request-id': 'req_changing' };
  const workspaces = workspacesAs(service.secretKey);
  await workspaces.updateWorkspace({ id, retentionDays: 7 }, { headers });
  await workspaces.updateWorkspace({ id, retentionDays: 7 }, { headers });
  await workspaces.deleteWorkspace({ id }, { headers });
  await workspaces.deleteWorkspace({ id }, { headers });
  const transport = createTransport('grpc', service.baseUrl, service.secretKey);
  const audit = createClient(AuditService, transport);
  const { auditRecords } = await audit.listAuditRecords({ workspaceId: id });
  const { apiKey } = await createClient(ApiKeysService, transport).retrieveCaller({});
  const byCaller = { apiKeyId: apiKey?.id, requestId: 'req_changing', targetId: id };
  expect(auditRecords).toMatchObject([
    { ...byCaller, action: 'workspace.deleted', changes: {} },
    { ...byCaller, action: 'workspace.updated', changes: { retention_days: '7' } },
    { apiKeyId: '', requestId: '', action: 'workspace.created' },
  ]);
});

describe('a workspace that was deleted', () => {
  /** It has an event, and both processes believe in it. */
  async function makeUsed(): Promise<{ id: string; eventId: string }> {
    const id = await makeWorkspace();
    const create = { workspaceId: id, type: 'used', payload: {}, idempotencyKey: 'used' };
    const { event } = await createEventsClient(service).createEvent(create);
    await createEventsClient(other).createEvent(create);
    return { id, eventId: event?.id ?? '' };
  }
  const outcomeOf = (call: Promise<unknown>) =>
    call.then(
      () => 'answered',
      (error) => refusalOf(Promise.reject(error)).then(({ reason }) => reason),
    );

  test('is not found by anybody, in every process within 5 seconds', async () => {
    const { id, eventId } = await makeUsed();
    await workspacesAs(service.secretKey).deleteWorkspace({ id });
    for (const at of [service, other]) {
      const events = createEventsClient(at);
      const workspaces = workspacesAs(at.secretKey, 'grpc', at);
      const keys = createClient(ApiKeysService, createTransport('grpc', at.baseUrl, at.secretKey));
      const grant = { kind: ApiKeyKind.RESTRICTED, scopes: ['events:read'], workspaceIds: [id] };
      const gone: [string, () => Promise<unknown>][] = [
        ['create', () => events.createEvent({ workspaceId: id, type: 'late', payload: {} })],
        [
          'repeat',
          () =>
            events.createEvent({
              workspaceId: id,
              type: 'used',
              payload: {},
              idempotencyKey: 'used',
            }),
        ],
        ['list', () => events.listEvents({ workspaceId: id })],
        ['update', () => workspaces.updateWorkspace({ id, displayName: 'late' })],
        ['retrieve workspace', () => workspaces.retrieveWorkspace({ id })],
        ['make a key', () => keys.createApiKey(grant)],
      ];
      for (const [what, call] of gone) {
        const told = () => outcomeOf(call()).then((reason) => [what, reason]);
        await expect
          .poll(told, { timeout: 5_000, interval: 100 })
          .toEqual([what, 'WORKSPACE_NOT_FOUND']);
      }
      const retrieve = () => outcomeOf(events.retrieveEvent({ id: eventId }));
      await expect.poll(retrieve, { timeout: 5_000 }).toBe('EVENT_NOT_FOUND');
      const { workspaces: listed } = await workspaces.listWorkspaces({ pageSize: 500 });
      expect(listed.map((workspace) => workspace.id)).not.toContain(id);
      expect(at.logLines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    }
  });

  test('takes no event from the moment on, also where a process still believes in it', async () => {
    const { id } = await makeUsed();
    await workspacesAs(service.secretKey).deleteWorkspace({ id });
    const late = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        outcomeOf(
          createEventsClient(other).createEvent({ workspaceId: id, type: 'late', payload: { n } }),
        ),
      ),
    );
    expect(new Set(late)).toEqual(new Set(['WORKSPACE_NOT_FOUND']));
    const [row] = await service.database.query<{ events: number }>(
      'select count(*)::int as events from events where workspace_id = $1',
      [id],
    );
    expect(row?.events).toBe(1);
  });

  test('lets its id be used again only when all of it is gone; deleting it again succeeds', async () => {
    const { id } = await makeUsed();
    const workspaces = workspacesAs(service.secretKey);
    await workspaces.deleteWorkspace({ id });
    await workspaces.deleteWorkspace({ id });
    const refusal = await refusalOf(workspaces.createWorkspace({ id }));
    expect(refusal).toMatchObject({
      reason: 'WORKSPACE_ALREADY_EXISTS',
      metadata: { workspace_id: id },
      message: expect.stringContaining('not gone yet'),
    });
  });

  test('ends its streams, in every process', async () => {
    const { id } = await makeUsed();
    const streams = [service, other].map((at) =>
      subscribeTo(createEventsClient(at), { workspaceId: id, afterSequence: 0n }),
    );
    await Promise.all(streams.map((stream) => stream.caughtUp()));
    await workspacesAs(service.secretKey).deleteWorkspace({ id });
    for (const { ended } of streams) {
      expect(await ended).toMatchObject({ code: 'NotFound', reason: 'WORKSPACE_NOT_FOUND' });
    }
  });
});
