import { randomBytes } from 'node:crypto';
import { createClient } from '@connectrpc/connect';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuditService } from '../../gen/typescript/harbor/audit/v1/audit_service_pb.ts';
import { openDatabase } from '../../src/database/database.ts';
import { newUuid, uuidOf } from '../../src/type-id.ts';
import { createTestRequestStore } from '../../src/webhooks/endpoints/test-request-store.ts';
import { createTransport } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { sendRequest } from '../support/http-request.ts';
import {
  encryptionKey,
  startWebhookService,
  type WebhookService,
} from '../support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());

let paths = 0;
const newPath = () => `/secrets/${paths++}`;
const reveal = async (id: string) => (await service.webhooks().revealSecret({ id })).secrets;

async function make(path = newPath()) {
  const { endpoint, secret } = await service.webhooks().createWebhookEndpoint({
    workspaceId: service.workspaceId,
    url: service.receiver.baseUrl + path,
  });
  return { id: endpoint?.id ?? '', secret, path };
}

test('secrets are revealed by a POST that nobody caches, and are encrypted at rest', async () => {
  const { id, secret } = await make();
  const { status, headers, text } = await sendRequest(
    service,
    `/v1/webhook_endpoints/${id}/reveal_secret`,
    { body: {} },
  );
  expect(status).toBe(200);
  expect(headers['cache-control']).toBe('no-store');
  expect(JSON.parse(text)).toMatchObject({ secrets: [{ secret }] });
  const get = await sendRequest(service, `/v1/webhook_endpoints/${id}/reveal_secret`);
  expect(get.status).toBe(405);
  const rows = await service.database.query<{ ciphertext: Buffer }>(
    'select ciphertext from webhook_secrets',
  );
  const plain = Buffer.from(secret.slice('whsec_'.length), 'base64');
  for (const { ciphertext } of rows) {
    expect(ciphertext.includes(secret)).toBe(false);
    expect(ciphertext.includes(plain)).toBe(false);
  }
});

test('a rotated secret signs besides until its overlap ends, and what is revealed is what signs', async () => {
  const { id, secret, path } = await make();
  const { secret: newer } = await service.webhooks().rotateSecret({ id });
  expect(newer).not.toBe(secret);
  expect((await reveal(id)).map((one) => one.secret)).toEqual([newer, secret]);
  const { attempt } = await service.webhooks().sendTestEvent({ id });
  expect(attempt?.responseStatus).toBe(204);
  const [request] = service.receiver.at(path);
  for (const one of [secret, newer]) {
    const headers = request?.headers as Record<string, string>;
    expect(() => new Webhook(one).verify(request?.body ?? '', headers)).not.toThrow();
  }
  const now = { seconds: 0n, nanos: 0 };
  const { secret: newest } = await service.webhooks().rotateSecret({ id, overlap: now });
  expect((await reveal(id)).map((one) => one.secret)).toEqual([newest, secret]);
});

test('an overlap may be none, or 7 days, and no more', async () => {
  const { id, secret } = await make();
  const tooLong = { seconds: 7n * 86_400n + 1n, nanos: 0 };
  const refusal = await refusalOf(service.webhooks().rotateSecret({ id, overlap: tooLong }));
  expect(refusal).toMatchObject({ reason: 'INVALID_REQUEST', fields: ['overlap'] });
  const { secret: second } = await service
    .webhooks()
    .rotateSecret({ id, overlap: { seconds: 7n * 86_400n, nanos: 0 } });
  const [, first] = await reveal(id);
  expect(first?.secret).toBe(secret);
  const daysLeft = (Number(first?.expiresAt?.seconds) - Date.now() / 1_000) / 86_400;
  expect(daysLeft).toBeGreaterThan(6.99);
  expect(daysLeft).toBeLessThan(7.01);
  expect(second).not.toBe(secret);
});

test('no more than ten old secrets sign at once', async () => {
  const { id } = await make();
  for (let n = 0; n < 10; n++) await service.webhooks().rotateSecret({ id });
  expect(await refusalOf(service.webhooks().rotateSecret({ id }))).toMatchObject({
    code: 'FailedPrecondition',
    reason: 'OLD_SECRETS_FULL',
    metadata: { old_secrets_max: '10' },
  });
  expect(await reveal(id)).toHaveLength(11);
  await service.database.query(
    "update webhook_secrets set expires_at = now() - interval '1 second' where expires_at is not null",
  );
  await service.webhooks().rotateSecret({ id });
  expect(await reveal(id)).toHaveLength(2);
});

test('a test event is signed, says that it is one, and is in no log', async () => {
  const { id, secret, path } = await make();
  await service.webhooks().pauseWebhookEndpoint({ id });
  service.receiver.answer = () => 503;
  const { attempt } = await service.webhooks().sendTestEvent({ id });
  service.receiver.answer = () => 204;
  expect(attempt).toMatchObject({ number: 1, responseStatus: 503, error: '' });
  const [request] = service.receiver.at(path);
  const event = new Webhook(secret).verify(
    request?.body ?? '',
    request?.headers as Record<string, string>,
  );
  expect(event).toMatchObject({
    type: 'harbor.webhook_endpoint.test',
    workspace_id: service.workspaceId,
    payload: { endpoint_id: id },
  });
  expect(
    await service.database.query('select id from events where type like $1', ['harbor.%']),
  ).toEqual([]);
  const { endpoint } = await service.webhooks().retrieveWebhookEndpoint({ id });
  expect(endpoint?.lastFailureAt).toBeUndefined();
});

test('a test takes a place in flight, and is refused where there is none', async () => {
  const path = newPath();
  const id = await service.makeEndpoint(path, { maxInFlight: 1 });
  const { promise, resolve } = Promise.withResolvers<number>();
  service.receiver.answer = () => promise;
  const first = service.webhooks().sendTestEvent({ id });
  await service.receiver.waitFor(path, 1);
  expect(await refusalOf(service.webhooks().sendTestEvent({ id }))).toMatchObject({
    code: 'ResourceExhausted',
    reason: 'OVERLOADED',
    retryable: true,
  });
  resolve(204);
  expect((await first).attempt?.responseStatus).toBe(204);
  service.receiver.answer = () => 204;
  expect((await service.webhooks().sendTestEvent({ id })).attempt?.responseStatus).toBe(204);
  expect(service.receiver.mostOpen.get(path)).toBe(1);
});

test('a place that a killed process took for a test is given back when its lease ends', async () => {
  const { id } = await make();
  const database = await openDatabase({
    url: service.database.url,
    poolSize: 6,
    applicationName: 'killed',
    onNotice: () => undefined,
  });
  const places = async () =>
    service.database.query('select in_flight from webhook_states where endpoint_id = $1', [
      uuidOf(id),
    ]);
  await createTestRequestStore(database.statements).begin(uuidOf(id), newUuid(), 500);
  expect(await places()).toEqual([{ in_flight: 1 }]);
  await database.close();
  await expect.poll(places).toEqual([{ in_flight: 0 }]);
  const windows = await service.database.query('select id from webhook_windows');
  expect(windows).toEqual([]);
});

test('without a key no endpoint is made, and the answer says how to get one', async () => {
  const { id } = await make();
  const keyless = await startWebhookService({ encryptionKeys: [] }, service.database);
  const other = await startWebhookService({ encryptionKeys: [randomBytes(32)] }, service.database);
  try {
    const create = keyless.makeEndpoint('/never');
    expect(await refusalOf(create)).toMatchObject({
      code: 'FailedPrecondition',
      reason: 'ENCRYPTION_KEY_MISSING',
      message: expect.stringContaining('openssl rand -base64 32'),
    });
    const endpoints = await keyless.webhooks().listWebhookEndpoints({
      workspaceId: keyless.workspaceId,
    });
    expect(endpoints.endpoints.map((one) => one.id)).toContain(id);
    for (const call of [
      () => keyless.webhooks().rotateSecret({ id }),
      () => keyless.webhooks().revealSecret({ id }),
      () => keyless.webhooks().sendTestEvent({ id }),
      () => other.webhooks().revealSecret({ id }),
      () => other.webhooks().sendTestEvent({ id }),
    ]) {
      expect(await refusalOf(call())).toMatchObject({ reason: 'ENCRYPTION_KEY_MISSING' });
    }
    expect(await reveal(id)).toHaveLength(1);
  } finally {
    await keyless.stop();
    await other.stop();
  }
});

test('an older key still decrypts, and the newest encrypts', async () => {
  const { id, secret } = await make();
  const newest = randomBytes(32);
  const rotated = await startWebhookService(
    { encryptionKeys: [newest, encryptionKey] },
    service.database,
  );
  const alone = await startWebhookService({ encryptionKeys: [newest] }, service.database);
  try {
    expect((await rotated.webhooks().revealSecret({ id })).secrets[0]?.secret).toBe(secret);
    const made = await rotated.webhooks().createWebhookEndpoint({
      workspaceId: rotated.workspaceId,
      url: `${rotated.receiver.baseUrl}/newest`,
    });
    const { secrets } = await alone.webhooks().revealSecret({ id: made.endpoint?.id ?? '' });
    expect(secrets[0]?.secret).toBe(made.secret);
  } finally {
    await rotated.stop();
    await alone.stop();
  }
});

test('every change is in the audit, without secrets, headers and what a URL holds behind its host', async () => {
  const { endpoint } = await service.webhooks().createWebhookEndpoint({
    workspaceId: service.workspaceId,
    url: `${service.receiver.baseUrl}/token-in-the-path?token=in-the-query`,
    headers: { authorization: 'Bearer header-value' },
  });
  const id = endpoint?.id ?? '';
  await service.webhooks().updateWebhookEndpoint({ id, description: 'new' });
  await service.webhooks().pauseWebhookEndpoint({ id });
  await service.webhooks().pauseWebhookEndpoint({ id });
  await service.webhooks().resumeWebhookEndpoint({ id });
  await service.webhooks().rotateSecret({ id });
  const secrets = await reveal(id);
  await service.webhooks().deleteWebhookEndpoint({ id });
  const audit = createClient(
    AuditService,
    createTransport('grpc', service.baseUrl, service.secretKey),
  );
  const { auditRecords: records } = await audit.listAuditRecords({
    workspaceId: service.workspaceId,
  });
  const mine = records.filter(({ targetId }) => targetId === id);
  expect(mine.map(({ action }) => action).reverse()).toEqual([
    'webhook_endpoint.created',
    'webhook_endpoint.updated',
    'webhook_endpoint.paused',
    'webhook_endpoint.resumed',
    'webhook_endpoint.secret_rotated',
    'webhook_endpoint.secret_revealed',
    'webhook_endpoint.deleted',
  ]);
  const text = JSON.stringify(mine, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
  for (const hidden of ['token-in-the-path', 'in-the-query', 'header-value']) {
    expect(text).not.toContain(hidden);
  }
  for (const { secret } of secrets) expect(text).not.toContain(secret);
});
