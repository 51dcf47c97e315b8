import { afterAll, beforeAll, expect, test } from 'vitest';
import { DeliveryState } from '../../gen/typescript/harbor/webhooks/v1/delivery_pb.ts';
import { refusalOf } from '../support/errors.ts';
import { startWebhookService, type WebhookService } from '../support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());

let paths = 0;

/** An endpoint of a workspace of its own. */
async function make(settings: Record<string, unknown> = {}) {
  const workspaceId = await service.makeWorkspace();
  const path = `/deliveries/${paths++}`;
  const endpointId = await service.makeEndpoint(path, { workspaceId, ...settings });
  return { workspaceId, path, endpointId };
}

const list = async (endpointId: string, filter: Record<string, unknown> = {}) =>
  (await service.webhooks().listDeliveries({ endpointId, ...filter })).deliveries;

/** Waits until as many deliveries are in a state, and returns them. */
async function waitForState(endpointId: string, state: DeliveryState, count: number) {
  await expect.poll(async () => (await list(endpointId, { state })).length).toBe(count);
  return list(endpointId, { state });
}

test('a delivery is listed with what became of it, and found with its requests', async () => {
  const { workspaceId, path, endpointId } = await make();
  service.receiver.answer = ({ attempt }) => (attempt === 1 ? 500 : 204);
  const [eventId] = await service.createEvents(workspaceId, ['invoice.paid']);
  const [delivery] = await waitForState(endpointId, DeliveryState.SUCCEEDED, 1);
  service.receiver.answer = () => 204;
  const [first] = service.receiver.at(path);
  expect(delivery).toMatchObject({
    id: first?.headers['harbor-delivery'],
    endpointId,
    workspaceId,
    eventId,
    sequence: 1n,
    previousSequence: 0n,
    replayId: '',
    attempts: 2,
    lastAttemptAt: {},
  });
  const found = await service.webhooks().retrieveDelivery({ id: delivery?.id ?? '' });
  expect(found.delivery).toEqual(delivery);
  expect(found.attempts).toMatchObject([
    { number: 1, responseStatus: 500 },
    { number: 2, responseStatus: 204 },
  ]);
});

test('a delivery that waits says until when, and one that is being sent that it is', async () => {
  const { workspaceId, path, endpointId } = await make();
  const { promise, resolve } = Promise.withResolvers<number>();
  service.receiver.answer = (request) => (request.path === path ? promise : 204);
  const [eventId] = await service.createEvents(workspaceId, ['a']);
  await service.receiver.waitFor(path, 1);
  const [flying] = await list(endpointId);
  expect(flying).toMatchObject({ state: DeliveryState.IN_FLIGHT, eventId, attempts: 0 });
  expect(await list(endpointId, { state: DeliveryState.IN_FLIGHT })).toEqual([flying]);
  expect(await list(endpointId, { eventId })).toEqual([flying]);
  service.receiver.answer = () => ({ status: 503, headers: { 'retry-after': '3600' } });
  resolve(503);
  const [pending] = await waitForState(endpointId, DeliveryState.PENDING, 1);
  expect(pending).toMatchObject({
    id: flying?.id,
    attempts: expect.any(Number),
    nextAttemptAt: {},
  });
  service.receiver.answer = () => 204;
});

test('deliveries are listed newest first, in pages without gap or repeat, by event and by state', async () => {
  const { workspaceId, endpointId } = await make();
  service.receiver.answer = ({ sequence }) => (sequence % 3 === 0 ? 500 : 204);
  const ids = await service.createEvents(
    workspaceId,
    Array.from({ length: 9 }, () => 'a'),
  );
  const failed = await waitForState(endpointId, DeliveryState.FAILED, 3);
  service.receiver.answer = () => 204;
  expect(failed.map(({ sequence }) => sequence)).toEqual([9n, 6n, 3n]);
  const pagesOf = async (filter: Record<string, unknown>) => {
    const found: bigint[] = [];
    let pageToken = '';
    do {
      const page = await service
        .webhooks()
        .listDeliveries({ endpointId, pageSize: 2, pageToken, ...filter });
      expect(page.deliveries.length).toBeLessThanOrEqual(2);
      found.push(...page.deliveries.map(({ sequence }) => sequence));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return found;
  };
  const all = await pagesOf({});
  expect(all.toSorted((a, b) => Number(a - b))).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n]);
  expect(await pagesOf({ state: DeliveryState.FAILED })).toEqual([9n, 6n, 3n]);
  expect(await pagesOf({ state: DeliveryState.SUCCEEDED })).toEqual(
    all.filter((sequence) => sequence % 3n !== 0n),
  );
  expect(await pagesOf({ eventId: ids[4] })).toEqual([5n]);
  expect(await pagesOf({ eventId: ids[5], state: DeliveryState.SUCCEEDED })).toEqual([]);
});

test('a page token is one of the same list alone', async () => {
  const { workspaceId, endpointId } = await make();
  await service.createEvents(workspaceId, ['a', 'b', 'c']);
  await waitForState(endpointId, DeliveryState.SUCCEEDED, 3);
  const { nextPageToken } = await service.webhooks().listDeliveries({ endpointId, pageSize: 1 });
  const other = service.webhooks().listDeliveries({
    endpointId,
    pageToken: nextPageToken,
    state: DeliveryState.FAILED,
  });
  expect(await refusalOf(other)).toMatchObject({
    reason: 'INVALID_REQUEST',
    fields: ['page_token'],
  });
});

test('a failed delivery is sent once more when it is retried, and a succeeded one too', async () => {
  const { workspaceId, path, endpointId } = await make();
  service.receiver.answer = () => 500;
  await service.createEvents(workspaceId, ['a']);
  const [failed] = await waitForState(endpointId, DeliveryState.FAILED, 1);
  const id = failed?.id ?? '';
  expect(service.receiver.at(path)).toHaveLength(3);
  await service.webhooks().retryDelivery({ id });
  await service.receiver.waitFor(path, 4);
  await waitForState(endpointId, DeliveryState.FAILED, 1);
  service.receiver.answer = () => 204;
  const { delivery } = await service.webhooks().retryDelivery({ id });
  expect(delivery?.id).toBe(id);
  await service.receiver.waitFor(path, 5);
  await waitForState(endpointId, DeliveryState.SUCCEEDED, 1);
  await service.webhooks().retryDelivery({ id });
  await service.receiver.waitFor(path, 6);
  const requests = service.receiver.at(path);
  expect(requests.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(new Set(requests.map(({ id: one }) => one)).size).toBe(1);
  expect(new Set(requests.map(({ headers }) => headers['harbor-delivery']))).toEqual(new Set([id]));
  const { endpoint } = await service.webhooks().retrieveWebhookEndpoint({ id: endpointId });
  expect(endpoint?.position).toBe(1n);
});

test('a delivery that waits for its time is tried at once when it is retried', async () => {
  const { workspaceId, path, endpointId } = await make();
  service.receiver.answer = () => ({ status: 503, headers: { 'retry-after': '1' } });
  await service.createEvents(workspaceId, ['a']);
  const [pending] = await waitForState(endpointId, DeliveryState.PENDING, 1);
  // An hour later, had nobody asked for it.
  await service.database.query(
    "update webhook_work set due_at = now() + interval '1 hour' where workspace_id = $1",
    [workspaceId],
  );
  service.receiver.answer = () => 204;
  const sent = service.receiver.at(path).length;
  await service.webhooks().retryDelivery({ id: pending?.id ?? '' });
  await service.receiver.waitFor(path, sent + 1);
  await waitForState(endpointId, DeliveryState.SUCCEEDED, 1);
});

test('nothing is retried at an endpoint that is paused', async () => {
  const { workspaceId, path, endpointId } = await make();
  await service.createEvents(workspaceId, ['a']);
  const [delivery] = await waitForState(endpointId, DeliveryState.SUCCEEDED, 1);
  await service.webhooks().pauseWebhookEndpoint({ id: endpointId });
  const retry = service.webhooks().retryDelivery({ id: delivery?.id ?? '' });
  expect(await refusalOf(retry)).toMatchObject({
    code: 'FailedPrecondition',
    reason: 'WEBHOOK_ENDPOINT_NOT_ENABLED',
  });
  expect(service.receiver.at(path)).toHaveLength(1);
});

test('what waits for an endpoint is cancelled when it is resumed from now', async () => {
  const { workspaceId, path, endpointId } = await make();
  service.receiver.answer = () => ({ status: 503, headers: { 'retry-after': '1' } });
  await service.createEvents(workspaceId, ['a', 'b']);
  await waitForState(endpointId, DeliveryState.PENDING, 2);
  await service.webhooks().pauseWebhookEndpoint({ id: endpointId });
  await service.webhooks().resumeWebhookEndpoint({ id: endpointId, fromNow: true });
  service.receiver.answer = () => 204;
  await waitForState(endpointId, DeliveryState.CANCELLED, 2);
  await service.createEvents(workspaceId, ['c']);
  await waitForState(endpointId, DeliveryState.SUCCEEDED, 1);
  const [row] = await service.database.query(
    `select unfinished, in_flight from webhook_cursors join webhook_states using (endpoint_id)
     where webhook_cursors.workspace_id = $1`,
    [workspaceId],
  );
  expect(row).toEqual({ unfinished: 0, in_flight: 0 });
  expect(service.receiver.at(path).at(-1)?.sequence).toBe(3);
});

test('deliveries exist for those alone whose key covers the endpoint', async () => {
  const { workspaceId, endpointId } = await make();
  await service.createEvents(workspaceId, ['a']);
  const [delivery] = await waitForState(endpointId, DeliveryState.SUCCEEDED, 1);
  const id = delivery?.id ?? '';
  const scopes = ['webhooks:read', 'webhooks:write', 'events:read'];
  const key = await service.issueKey({ scopes, workspaceIds: ['ws_elsewhere'] });
  const webhooks = service.webhooks(key);
  for (const call of [
    () => webhooks.retrieveDelivery({ id }),
    () => webhooks.retryDelivery({ id }),
    () => service.webhooks().retrieveDelivery({ id: 'dlv_01hzy9q7x8f4kq3d2m5n6p7r8s0' }),
    () => service.webhooks().retrieveDelivery({ id: 'dlv_0' }),
  ]) {
    expect(await refusalOf(call())).toMatchObject({
      code: 'NotFound',
      reason: 'DELIVERY_NOT_FOUND',
    });
  }
  expect(await refusalOf(webhooks.listDeliveries({ endpointId }))).toMatchObject({
    reason: 'WEBHOOK_ENDPOINT_NOT_FOUND',
  });
  const blind = await service.issueKey({ scopes: ['webhooks:read', 'webhooks:write'] });
  expect(await refusalOf(service.webhooks(blind).retryDelivery({ id }))).toMatchObject({
    reason: 'SCOPE_MISSING',
    metadata: { scope: 'events:read' },
  });
});
