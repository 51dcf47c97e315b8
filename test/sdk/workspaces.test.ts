import { afterAll, beforeAll, expect, test } from 'vitest';
import {
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

function connect(secretKey: string, options = {}): Harbor {
  return new Harbor({ secretKey, baseUrl: service.baseUrl, maxRetries: 0, ...options });
}

test('a workspace is created, used, changed and deleted', async () => {
  const created = await harbor.workspaces.create({
    id: 'ws_acme',
    displayName: 'Acme',
    retentionDays: 365,
    rateLimits: { createsPerSecond: 500 },
  });
  expect(created).toEqual({
    id: 'ws_acme',
    displayName: 'Acme',
    lastSequence: 0,
    firstSequence: 1,
    createdAt: expect.any(Date),
    retentionDays: 365,
    rateLimits: { createsPerSecond: 500 },
  });
  const { id } = created;
  await harbor.events.create({ workspaceId: id, type: 'a', payload: {} });
  expect(await harbor.workspaces.retrieve(id)).toEqual({ ...created, lastSequence: 1 });

  const renamed = await harbor.workspaces.update(id, { displayName: '' });
  expect(renamed).toEqual({ ...created, displayName: '', lastSequence: 1 });
  const limited = { rateLimits: { createsPerSecond: null, streams: 9 } };
  expect((await harbor.workspaces.update(id, limited)).rateLimits).toEqual({ streams: 9 });
  const free = await harbor.workspaces.update(id, { retentionDays: null, rateLimits: null });
  expect(free).not.toHaveProperty('retentionDays');
  expect(free).not.toHaveProperty('rateLimits');

  await harbor.workspaces.delete(id);
  await harbor.workspaces.delete(id);
  await expect(harbor.workspaces.retrieve(id)).rejects.toThrow(NotFoundError);
});

test('a workspace without an id is made one, once, also where the answer is lost', async () => {
  const secretKey = await service.issueKey({ scopes: ['workspaces:write'] });
  const losing = connect(secretKey, { maxRetries: 1, fetch: losingFirstAnswer() });
  const displayName = 'lost on its way';
  const made = await losing.workspaces.create({ displayName, retentionDays: 30 });
  expect(made.id).toMatch(/^ws_[0-9a-f]{32}$/);
  const named: unknown[] = [];
  for await (const one of harbor.workspaces.list()) {
    if (one.displayName === displayName) named.push(one);
  }
  expect(named).toEqual([made]);
  expect((await harbor.workspaces.create()).id).not.toBe(made.id);
});

test('an id that is taken is told, and what is there stays', async () => {
  await harbor.workspaces.create({ id: 'ws_taken', displayName: 'first' });
  const error = await harbor.workspaces
    .create({ id: 'ws_taken', displayName: 'second' })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HarborError);
  expect(error).toMatchObject({
    code: 'already_exists',
    reason: 'WORKSPACE_ALREADY_EXISTS',
    metadata: { workspace_id: 'ws_taken' },
  });
  expect((await harbor.workspaces.retrieve('ws_taken')).displayName).toBe('first');
});

test('workspaces are iterated page after page, by id, those that the key may use', async () => {
  const ids = ['ws_list1', 'ws_list2', 'ws_list3'];
  for (const id of ids) await harbor.workspaces.create({ id });
  const grant = { scopes: ['workspaces:read', 'workspaces:write'], workspaceIds: ids };
  const own = connect(await service.issueKey(grant));
  const seen: string[] = [];
  for await (const { id } of own.workspaces.list({ pageSize: 2 })) seen.push(id);
  expect(seen).toEqual(ids);
  const page = await own.workspaces.list({ pageSize: 1 });
  expect((await page.nextPage())?.items.map(({ id }) => id)).toEqual(['ws_list2']);
  await expect(own.workspaces.retrieve(service.workspaceId)).rejects.toThrow(NotFoundError);
  await expect(own.workspaces.delete('ws_list1')).rejects.toThrow(PermissionError);
});

test('a key with limits raises none above its own', async () => {
  const { id } = await harbor.workspaces.create({ rateLimits: { streams: 10 } });
  const grant = { scopes: ['workspaces:write'], rateLimits: { streams: 20 } };
  const own = connect(await service.issueKey(grant));
  expect(await own.workspaces.update(id, { rateLimits: { streams: 20 } })).toMatchObject({ id });
  for (const streams of [21, null]) {
    await expect(own.workspaces.update(id, { rateLimits: { streams } })).rejects.toMatchObject({
      reason: 'RATE_LIMITS_EXCEED_CALLER',
      metadata: { exceeds: 'rate_limits.streams' },
    });
  }
});

test('what could not be meant is refused before it is sent, by its field', async () => {
  const { workspaces } = harbor;
  const wrong: [string, Promise<unknown>][] = [
    ['id', workspaces.create({ id: null as never })],
    ['displayName', workspaces.create({ displayName: 5 as never })],
    ['retentionDays', workspaces.create({ retentionDays: 6 })],
    ['retentionDays', workspaces.update('ws_test', { retentionDays: 0 })],
    ['rateLimits.streams', workspaces.create({ rateLimits: { streams: -1 } })],
    [
      'rateLimits.perSecond',
      workspaces.update('ws_test', { rateLimits: { perSecond: 1 } as never }),
    ],
    ['pageSize', workspaces.list({ pageSize: 0 })],
    ['id', workspaces.delete(undefined as never)],
  ];
  for (const [field, call] of wrong) {
    const error = await call.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidRequestError);
    expect(error).toMatchObject({ violations: [{ field }], requestId: undefined });
  }
});
