import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCaller } from '../../sdk/src/caller.ts';
import { Harbor, RateLimitedError } from '../../sdk/src/index.ts';
import { parseOptions } from '../../sdk/src/options.ts';
import { createErrorTranslation } from '../../sdk/src/to-harbor-error.ts';
import type { RateLimits } from '../../src/rate-limits/index.ts';
import { createEventsClient } from '../support/clients.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const issue = (rateLimits: RateLimits) =>
  service.issueKey({ scopes: ['events:read', 'events:write'], rateLimits });
const connect = (secretKey: string, maxRetries?: number) =>
  new Harbor({
    baseUrl: service.baseUrl,
    secretKey,
    ...(maxRetries !== undefined && { maxRetries }),
  });

test('a batch that is larger than the burst is stored whole, by as many attempts as it takes', async () => {
  const harbor = connect(await issue({ createsPerSecond: 20, burstSeconds: 1 }));
  const items = Array.from({ length: 45 }, (_, index) => ({
    workspaceId: service.workspaceId,
    type: 'limited',
    payload: { index },
  }));
  const results = await harbor.events.createBatch(items);
  expect(results.flatMap(({ event }) => event?.payload.index)).toEqual(
    items.map(({ payload }) => payload.index),
  );
});

test('a call waits as long as it is told, and no longer than its attempts go', async () => {
  const secretKey = await issue({ createBytesPerSecond: 20_000, burstSeconds: 1 });
  const client = createEventsClient({ ...service, secretKey });
  const waitsMs: number[] = [];
  const call = createCaller({
    maxRetries: 2,
    timeoutMs: 10_000,
    random: () => 0,
    wait: async (ms) => void waitsMs.push(ms),
    toHarborError: createErrorTranslation(parseOptions({ secretKey })),
  });
  const create = (text: string) =>
    call(
      (options) =>
        client.createEvent(
          { workspaceId: service.workspaceId, type: 'limited', payload: { text } },
          options,
        ),
      {},
    );
  await create('x'.repeat(200_000));
  await expect(create('')).rejects.toMatchObject({
    limit: 'create_bytes_per_second',
    limitOf: 'api_key',
  });
  // Two waits that nobody has waited, of what is left of nine seconds.
  expect(waitsMs).toHaveLength(2);
  for (const ms of waitsMs) expect(ms > 0 && ms <= 9_001).toBe(true);
});

test('one that would have to wait for minutes is told so at once, and which limit it was', async () => {
  const harbor = connect(await issue({ createBytesPerSecond: 1_024, burstSeconds: 1 }));
  const event = { workspaceId: service.workspaceId, type: 'limited' };
  await harbor.events.create({ ...event, payload: { text: 'x'.repeat(200_000) } });
  const error = await harbor.events
    .create({ ...event, payload: {} })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RateLimitedError);
  expect(error).toMatchObject({ limit: 'create_bytes_per_second', retryable: true });
});

test('a subscription over the limit of streams waits, and begins once another one has ended', async () => {
  const { workspaceId } = service;
  const secretKey = await issue({ streams: 1 });
  await connect(service.secretKey).events.create({ workspaceId, type: 'limited', payload: {} });
  const query = { workspaceId, afterSequence: 0 };
  const leave = new AbortController();
  const first = connect(secretKey).events.subscribe(query, { signal: leave.signal });
  await first[Symbol.asyncIterator]().next();
  const once = connect(secretKey).events.subscribe(query, { maxRetries: 0 });
  await expect(once[Symbol.asyncIterator]().next()).rejects.toThrow(RateLimitedError);
  const waits: number[] = [];
  const second = connect(secretKey).events.subscribe(query, {
    onReconnect({ delayMs, error }) {
      expect(error).toBeInstanceOf(RateLimitedError);
      waits.push(delayMs);
      leave.abort();
    },
  });
  for await (const event of second) {
    expect(event.workspaceId).toBe(workspaceId);
    break;
  }
  expect(waits.length).toBeGreaterThan(0);
  for (const delayMs of waits) expect(delayMs).toBeGreaterThanOrEqual(5_000);
});
