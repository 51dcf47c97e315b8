import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  WebhookEndpointStatus,
  WebhookOrdering,
  WebhookStandingReason,
} from '../../gen/typescript/harbor/webhooks/v1/webhook_endpoint_pb.ts';
import { refusalOf } from '../support/errors.ts';
import { startWebhookService, type WebhookService } from '../support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());

let paths = 0;
const newPath = () => `/hooks/${paths++}`;
const urlOf = (path: string) => service.receiver.baseUrl + path;

describe.each(['grpc', 'connect json'] as const)('over %s', (wire) => {
  const webhooks = () => service.webhooks(service.secretKey, wire);

  test('an endpoint is created with what was said of it, and defaults for the rest', async () => {
    const workspaceId = await service.makeWorkspace();
    const url = urlOf(newPath());
    const created = await webhooks().createWebhookEndpoint({ workspaceId, url });
    expect(created).toMatchObject({
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
      replayed: false,
      endpoint: {
        id: expect.stringMatching(/^whe_[0-9a-z]{26}$/),
        workspaceId,
        url,
        typePatterns: [],
        maxInFlight: 10,
        maxPerSecond: 0,
        timeoutMs: 15_000,
        ordering: WebhookOrdering.NONE,
        status: WebhookEndpointStatus.ENABLED,
        apiKeyId: expect.stringMatching(/^key_/),
        position: 0n,
        lag: 0n,
      },
    });
    const id = created.endpoint?.id ?? '';
    const { endpoint } = await webhooks().retrieveWebhookEndpoint({ id });
    expect(endpoint).toEqual(created.endpoint);
  });

  test('what an update leaves unset stays, and what it sets is what is sent to from then on', async () => {
    const workspaceId = await service.makeWorkspace();
    const [before, after] = [newPath(), newPath()];
    const id = await service.makeEndpoint(before, {
      workspaceId,
      description: 'as it was',
      typePatterns: ['invoice.*'],
      headers: { 'X-Tenant': 'one' },
    });
    const { endpoint } = await webhooks().updateWebhookEndpoint({ id, url: urlOf(after) });
    expect(endpoint).toMatchObject({
      url: urlOf(after),
      description: 'as it was',
      typePatterns: ['invoice.*'],
      headerNames: ['x-tenant'],
    });
    const changed = await webhooks().updateWebhookEndpoint({
      id,
      description: '',
      typePatterns: { typePatterns: [] },
      headers: { headers: {} },
      maxPerSecond: 100,
    });
    expect(changed.endpoint).toMatchObject({
      description: '',
      typePatterns: [],
      headerNames: [],
      maxPerSecond: 100,
      url: urlOf(after),
    });
    await service.createEvents(workspaceId, ['order.placed']);
    await service.receiver.waitFor(after, 1);
    expect(service.receiver.at(before)).toEqual([]);
    expect(service.receiver.at(after)[0]?.headers).not.toHaveProperty('x-tenant');
  });

  test('a paused endpoint is sent nothing, and a resumed one what came meanwhile', async () => {
    const workspaceId = await service.makeWorkspace();
    const path = newPath();
    const id = await service.makeEndpoint(path, { workspaceId });
    const paused = await webhooks().pauseWebhookEndpoint({ id });
    expect(paused.endpoint?.status).toBe(WebhookEndpointStatus.PAUSED);
    await service.createEvents(workspaceId, ['a', 'b']);
    const { endpoint } = await webhooks().retrieveWebhookEndpoint({ id });
    expect(endpoint).toMatchObject({ position: 0n, lag: 2n, oldestUndeliveredAt: {} });
    const resumed = await webhooks().resumeWebhookEndpoint({ id });
    expect(resumed.endpoint?.status).toBe(WebhookEndpointStatus.ENABLED);
    await service.receiver.waitFor(path, 2);
    expect(
      service.receiver
        .at(path)
        .map(({ sequence }) => sequence)
        .sort(),
    ).toEqual([1, 2]);
  });

  test('an endpoint that is resumed from now is not sent what came before', async () => {
    const workspaceId = await service.makeWorkspace();
    const path = newPath();
    const id = await service.makeEndpoint(path, { workspaceId });
    await webhooks().pauseWebhookEndpoint({ id });
    await service.createEvents(workspaceId, ['a', 'b']);
    const { endpoint } = await webhooks().resumeWebhookEndpoint({ id, fromNow: true });
    expect(endpoint).toMatchObject({ position: 2n, lag: 0n });
    await service.createEvents(workspaceId, ['c']);
    await service.receiver.waitFor(path, 1);
    expect(service.receiver.at(path).map(({ sequence }) => sequence)).toEqual([3]);
  });

  test('a deleted endpoint is gone, with its secrets, and can be deleted again', async () => {
    const workspaceId = await service.makeWorkspace();
    const path = newPath();
    const id = await service.makeEndpoint(path, { workspaceId });
    await webhooks().deleteWebhookEndpoint({ id });
    await webhooks().deleteWebhookEndpoint({ id });
    for (const call of [
      () => webhooks().retrieveWebhookEndpoint({ id }),
      () => webhooks().pauseWebhookEndpoint({ id }),
      () => webhooks().revealSecret({ id }),
    ]) {
      expect(await refusalOf(call())).toMatchObject({
        code: 'NotFound',
        reason: 'WEBHOOK_ENDPOINT_NOT_FOUND',
        metadata: { endpoint_id: id },
      });
    }
    const { endpoints } = await webhooks().listWebhookEndpoints({ workspaceId });
    expect(endpoints).toEqual([]);
    const [row] = await service.database.query<{ count: number }>(
      'select count(*)::int as count from webhook_secrets where workspace_id = $1',
      [workspaceId],
    );
    expect(row?.count).toBe(0);
  });
});

test('requests are signed, and carry the headers of the endpoint, whose values nobody is shown', async () => {
  const workspaceId = await service.makeWorkspace();
  const path = newPath();
  const { endpoint, secret } = await service.webhooks().createWebhookEndpoint({
    workspaceId,
    url: urlOf(path),
    headers: { 'X-Tenant': 'tenant-of-nobody-else', Authorization: 'Bearer mine' },
  });
  expect(endpoint?.headerNames).toEqual(['authorization', 'x-tenant']);
  const [eventId] = await service.createEvents(workspaceId, ['invoice.paid']);
  await service.receiver.waitFor(path, 1);
  const [request] = service.receiver.at(path);
  expect(request?.headers).toMatchObject({
    'x-tenant': 'tenant-of-nobody-else',
    authorization: 'Bearer mine',
    'webhook-id': eventId,
  });
  const verified = new Webhook(secret).verify(
    request?.body ?? '',
    request?.headers as Record<string, string>,
  );
  expect(verified).toMatchObject({ id: eventId, type: 'invoice.paid', sequence: 1 });
  expect(verified).not.toHaveProperty('api_key_id');
  const kept = await service.database.query('select t::text from webhook_endpoints t');
  expect(JSON.stringify(kept)).not.toContain('tenant-of-nobody-else');
  expect(JSON.stringify(kept)).not.toContain(Buffer.from('tenant-of-nobody').toString('hex'));
  await expect
    .poll(async () => {
      const { endpoint: now } = await service
        .webhooks()
        .retrieveWebhookEndpoint({ id: endpoint?.id ?? '' });
      return [now?.position, now?.lag, now?.lastSuccessAt !== undefined];
    })
    .toEqual([1n, 0n, true]);
});

test('a repeat of a create returns the endpoint without its secret, and another request with its id is refused', async () => {
  const workspaceId = await service.makeWorkspace();
  const request = { workspaceId, url: urlOf(newPath()), requestId: 'once' };
  const first = await service.webhooks().createWebhookEndpoint(request);
  const again = await service.webhooks().createWebhookEndpoint(request);
  expect(again).toEqual({ ...first, secret: '', replayed: true });
  const other = service.webhooks().createWebhookEndpoint({ ...request, description: 'other' });
  expect(await refusalOf(other)).toMatchObject({
    code: 'AlreadyExists',
    reason: 'REQUEST_ID_REUSED',
    metadata: { id: first.endpoint?.id },
  });
  const another = await service.issueKey({ kind: 'secret' });
  const theirs = await service.webhooks(another).createWebhookEndpoint(request);
  expect(theirs.endpoint?.id).not.toBe(first.endpoint?.id);
  await service.webhooks().deleteWebhookEndpoint({ id: first.endpoint?.id ?? '' });
  const anew = await service.webhooks().createWebhookEndpoint(request);
  expect(anew.replayed).toBe(false);
});

test('creates with the same request id at once make one endpoint', async () => {
  const workspaceId = await service.makeWorkspace();
  const request = { workspaceId, url: urlOf(newPath()), requestId: 'at once' };
  const made = await Promise.all(
    Array.from({ length: 5 }, () => service.webhooks().createWebhookEndpoint(request)),
  );
  expect(new Set(made.map(({ endpoint }) => endpoint?.id)).size).toBe(1);
  expect(made.filter(({ replayed }) => !replayed)).toHaveLength(1);
});

test.each([
  ['no URL at all', 'https://', 'url'],
  ['a private address', 'https://10.0.0.1/hooks', 'url'],
  ['http where nothing opens it', 'http://8.8.8.8/hooks', 'url'],
  ['a user name', 'https://me:secret@example.com/', 'url'],
  ['a low port', 'https://example.com:25/', 'url'],
])('%s is refused, by its field', async (_what, url, field) => {
  const { workspaceId } = service;
  expect(
    await refusalOf(service.webhooks().createWebhookEndpoint({ workspaceId, url })),
  ).toMatchObject({ code: 'InvalidArgument', reason: 'INVALID_REQUEST', fields: [field] });
});

test.each(['host', 'Content-Type', 'webhook-id', 'Harbor-Attempt', 'proxy-authorization', 'te'])(
  'the header %s is not the user’s to set',
  async (name) => {
    const call = service.webhooks().createWebhookEndpoint({
      workspaceId: service.workspaceId,
      url: urlOf(newPath()),
      headers: { [name]: 'x' },
    });
    expect(await refusalOf(call)).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['headers'],
    });
  },
);

test('an endpoint begins where it is told to: after a sequence, at a time, or at the floor', async () => {
  const workspaceId = await service.makeWorkspace();
  await service.createEvents(workspaceId, ['a', 'b', 'c']);
  const startAt = async (
    startFrom:
      | { case: 'startAfterSequence'; value: bigint }
      | { case: 'startAfterTime'; value: { seconds: bigint; nanos: number } },
  ) => {
    const path = newPath();
    await service.webhooks().createWebhookEndpoint({ workspaceId, url: urlOf(path), startFrom });
    return path;
  };
  const afterTwo = await startAt({ case: 'startAfterSequence', value: 2n });
  const fromAges = await startAt({
    case: 'startAfterTime',
    value: { seconds: 1_000_000_000n, nanos: 0 },
  });
  await service.receiver.waitFor(afterTwo, 1);
  await service.receiver.waitFor(fromAges, 3);
  expect(service.receiver.at(afterTwo).map(({ sequence }) => sequence)).toEqual([3]);

  const future = startAt({ case: 'startAfterSequence', value: 4n });
  expect(await refusalOf(future)).toMatchObject({
    code: 'OutOfRange',
    reason: 'SEQUENCE_IN_FUTURE',
    fields: ['start_after_sequence'],
    metadata: { last_sequence: '3' },
  });
  await service.database.query('update workspaces set first_sequence = 3 where id = $1', [
    workspaceId,
  ]);
  const expired = startAt({ case: 'startAfterSequence', value: 1n });
  expect(await refusalOf(expired)).toMatchObject({
    code: 'OutOfRange',
    reason: 'SEQUENCE_EXPIRED',
    fields: ['start_after_sequence'],
    metadata: { first_sequence: '3' },
  });
  const fromFloor = await startAt({ case: 'startAfterSequence', value: 0n });
  await service.receiver.waitFor(fromFloor, 1);
  expect(service.receiver.at(fromFloor).map(({ sequence }) => sequence)).toEqual([3]);
});

test('a workspace has at most 1,000 endpoints', async () => {
  const workspaceId = await service.makeWorkspace();
  const id = await service.makeEndpoint(newPath(), { workspaceId });
  await service.database.query(
    `insert into webhook_endpoints (id, workspace_id, url, description, type_patterns, header_names, max_in_flight,
       timeout_ms, ordering, status, status_changed_at, created_at, updated_at)
     select gen_random_uuid(), workspace_id, url, description, type_patterns, header_names, max_in_flight, timeout_ms,
       ordering, 'paused', status_changed_at, created_at, updated_at
     from webhook_endpoints, generate_series(1, 999) where workspace_id = $1`,
    [workspaceId],
  );
  expect(await refusalOf(service.makeEndpoint(newPath(), { workspaceId }))).toMatchObject({
    code: 'ResourceExhausted',
    reason: 'WEBHOOK_ENDPOINTS_FULL',
    metadata: { endpoints_max: '1000' },
  });
  await service.webhooks().deleteWebhookEndpoint({ id });
  expect(await service.makeEndpoint(newPath(), { workspaceId })).toMatch(/^whe_/);
});

test('endpoints are listed newest first, in pages', async () => {
  const workspaceId = await service.makeWorkspace();
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) ids.unshift(await service.makeEndpoint(newPath(), { workspaceId }));
  const found: string[] = [];
  let pageToken = '';
  do {
    const page = await service
      .webhooks()
      .listWebhookEndpoints({ workspaceId, pageSize: 2, pageToken });
    expect(page.endpoints.length).toBeLessThanOrEqual(2);
    found.push(...page.endpoints.map(({ id }) => id));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(found).toEqual(ids);
});

test.each([
  ['states', "hold_until = now() + interval '1 hour'", 'HELD'],
  ['states', 'circuit_open_until = now()', 'FAILING'],
  ['cursors', 'unfinished = 1000', 'UNFINISHED'],
  ['cursors', 'unfinished = 999', 'UNSPECIFIED'],
  ['cursors', 'unfinished = 10500, parked = 10000', 'PARKED'],
  ['cursors', 'unfinished = 10500, parked = 9999', 'UNSPECIFIED'],
] as const)(
  'an endpoint whose %s have %s says that it takes up nothing new for %s',
  async (table, set, reason) => {
    const workspaceId = await service.makeWorkspace();
    const id = await service.makeEndpoint(newPath(), { workspaceId });
    await service.database.query(`update webhook_${table} set ${set} where workspace_id = $1`, [
      workspaceId,
    ]);
    const { endpoint } = await service.webhooks().retrieveWebhookEndpoint({ id });
    expect(endpoint?.standingReason).toBe(WebhookStandingReason[reason]);
    await service.webhooks().pauseWebhookEndpoint({ id });
    const paused = await service.webhooks().retrieveWebhookEndpoint({ id });
    expect(paused.endpoint?.standingReason).toBe(WebhookStandingReason.UNSPECIFIED);
  },
);
