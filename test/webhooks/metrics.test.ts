import { afterAll, beforeAll, expect, test } from 'vitest';
import { readMetrics } from '../support/metrics.ts';
import { startWebhookService, type WebhookService } from '../support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService({}, undefined, { metrics: { host: '127.0.0.1', port: 0 } });
});
afterAll(() => service.stop());

const value = async (name: string, labels?: Record<string, string>) =>
  (await readMetrics(service)).value(name, labels);
const requests = (outcome: string, status: string) =>
  value('harbor_webhook_requests_total', { outcome, status });
const endpoints = (status: string) => value('harbor_webhook_endpoints', { status });

test('requests are counted by what becomes of their delivery, and deliveries by how many they took', async () => {
  const { receiver, workspaceId } = service;
  receiver.answer = ({ path, attempt }) => {
    if (path === '/second-time') return attempt < 2 ? 503 : 200;
    return path === '/never' ? 404 : 204;
  };
  for (const path of ['/at-once', '/second-time', '/never']) await service.makeEndpoint(path);
  await service.createEvents(workspaceId, ['counted']);
  await expect.poll(() => requests('failed', '4xx')).toBe(1);
  await expect.poll(() => requests('succeeded', '2xx')).toBe(2);
  expect(await requests('retry', '4xx')).toBe(2);
  expect(await requests('retry', '5xx')).toBe(1);
  const attempts = 'harbor_webhook_delivery_attempts';
  expect(await value(`${attempts}_count`, { outcome: 'succeeded' })).toBe(2);
  expect(await value(`${attempts}_sum`, { outcome: 'succeeded' })).toBe(3);
  expect(await value(`${attempts}_sum`, { outcome: 'failed' })).toBe(3);
  expect(await value('harbor_webhook_request_seconds_count')).toBe(6);
});

test('a request without an answer has no status', async () => {
  const workspaceId = await service.makeWorkspace();
  const before = await requests('failed', 'none');
  // Nobody speaks TLS there.
  const url = service.receiver.baseUrl.replace('http:', 'https:');
  await service.webhooks().createWebhookEndpoint({ workspaceId, url });
  await service.createEvents(workspaceId, ['lost']);
  await expect.poll(() => requests('failed', 'none')).toBe(before + 1);
});

test('endpoints are counted by their status, as callers and receivers change it', async () => {
  const { receiver } = service;
  const workspaceId = await service.makeWorkspace();
  receiver.answer = ({ path }) => (path === '/gone' ? 410 : 204);
  const [enabled, paused, disabled] = [
    await endpoints('enabled'),
    await endpoints('paused'),
    await endpoints('disabled'),
  ];
  const ids: string[] = [];
  for (const path of ['/paused', '/gone', '/kept']) {
    ids.push(await service.makeEndpoint(path, { workspaceId }));
  }
  await expect.poll(() => endpoints('enabled')).toBe(enabled + 3);
  await service.webhooks().pauseWebhookEndpoint({ id: ids[0] ?? '' });
  await service.createEvents(workspaceId, ['counted']);
  await expect.poll(() => endpoints('paused')).toBe(paused + 1);
  await expect.poll(() => endpoints('disabled')).toBe(disabled + 1);
  expect(await endpoints('enabled')).toBe(enabled + 1);
  await service.webhooks().deleteWebhookEndpoint({ id: ids[2] ?? '' });
  await expect.poll(() => endpoints('enabled')).toBe(enabled);
});

test('an endpoint that waits for what it has no room for is behind, and no more once it goes on', async () => {
  const { receiver } = service;
  const workspaceId = await service.makeWorkspace();
  const held = Promise.withResolvers<number>();
  receiver.answer = ({ path }) => (path === '/slow' ? held.promise : 204);
  const behind = () => value('harbor_webhook_cursors', { lag: 'under_1m' });
  await expect.poll(behind).toBe(0);
  await service.makeEndpoint('/slow', { workspaceId, maxInFlight: 1 });
  await service.createEvents(workspaceId, Array(5).fill('counted'));
  await expect.poll(behind).toBe(1);
  await expect.poll(() => value('harbor_webhook_cursor_lag_seconds')).toBeGreaterThan(0);
  expect(await value('harbor_webhook_requests_open')).toBe(1);
  held.resolve(204);
  await expect.poll(behind).toBe(0);
  expect(await value('harbor_webhook_cursor_lag_seconds')).toBe(0);
});
