import { afterEach, expect, test } from 'vitest';
import { createEventsClient } from '../support/clients.ts';
import { readMetrics } from '../support/metrics.ts';
import { type SilentPostgres, startSilentPostgres } from '../support/silent-postgres.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let database: TestDatabase;
let postgres: SilentPostgres;
let service: TestService;

afterEach(async () => {
  postgres.speak();
  await service.stop();
  await postgres.stop();
  await database.drop();
});

const value = async (name: string, labels?: Record<string, string>) =>
  (await readMetrics(service)).value(name, labels);

test('while PostgreSQL says nothing the metrics answer, and tell that it does not', async () => {
  database = await createTestDatabase();
  postgres = await startSilentPostgres(database.url);
  service = await startTestService(
    { metrics: { host: '127.0.0.1', port: 0 } },
    { ...database, url: postgres.url },
  );
  const { workspaceId } = service;
  const create = () =>
    createEventsClient(service).createEvent({ workspaceId, type: 'tested', payload: {} });
  await create();
  expect(await value('harbor_ready')).toBe(1);
  postgres.fallSilent();
  const waiting = create().catch(() => undefined);
  await expect.poll(() => value('harbor_append_batches_open')).toBe(1);
  await expect.poll(() => value('harbor_ready'), { timeout: 20_000 }).toBe(0);
  await waiting;
  await expect
    .poll(() => value('harbor_creates_total', { outcome: 'unavailable' }), { timeout: 20_000 })
    .toBe(1);
  expect(await value('harbor_append_statement_seconds_count', { outcome: 'failed' })).toBe(1);
  const refusals = { reason: 'DATABASE_UNAVAILABLE' };
  await expect.poll(() => value('harbor_rpc_refusals_total', refusals)).toBe(1);
  postgres.speak();
  await expect.poll(() => value('harbor_ready'), { timeout: 20_000 }).toBe(1);
});
