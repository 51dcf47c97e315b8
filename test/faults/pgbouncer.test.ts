import { afterEach, describe, expect, test } from 'vitest';
import { createEventsClient } from '../support/clients.ts';
import { anyPgBouncer, type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { subscribeTo } from '../support/subscriber.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService, testWorkspaceId } from '../support/test-service.ts';

// Needs a program that npm does not bring: Debian's package pgbouncer.
describe.skipIf(anyPgBouncer === undefined)('behind PgBouncer', () => {
  let database: TestDatabase;
  let bouncer: PgBouncer;

  async function through(settings: Record<string, string>): Promise<TestDatabase> {
    database = await createTestDatabase();
    bouncer = await startPgBouncer(anyPgBouncer as string, database.url, settings);
    return { ...database, url: bouncer.url };
  }

  afterEach(async () => {
    await bouncer.stop();
    await database.drop();
  });

  test.each([
    { default_pool_size: '20' },
    { default_pool_size: '1' },
    { server_round_robin: '1', min_pool_size: '4' },
  ])(
    'in transaction mode (%o) the service does not start, and says what to set',
    async (settings) => {
      const behind = await through({ pool_mode: 'transaction', ...settings });
      await expect(startTestService({}, behind)).rejects.toMatchObject({
        name: 'PoolerSharesSessions',
        message: expect.stringContaining('set pool_mode = session in PgBouncer for this database'),
      });
    },
  );

  test('in transaction mode that others are using it does not start either', async () => {
    const behind = await through({ pool_mode: 'transaction', default_pool_size: '8' });
    const { default: pg } = await import('pg');
    let isOver = false;
    const others = Array.from({ length: 6 }, async () => {
      const client = new pg.Client(behind.url);
      await client.connect();
      while (!isOver) await client.query('select pg_sleep(random() / 500)');
      await client.end();
    });
    await expect(startTestService({}, behind)).rejects.toThrow('pool_mode = session');
    isOver = true;
    await Promise.all(others);
  });

  test('in session mode it starts, creates and streams', async () => {
    const behind = await through({ pool_mode: 'session', default_pool_size: '40' });
    const service = await startTestService({}, behind);
    const client = createEventsClient(service);
    const subscriber = subscribeTo(client, { workspaceId: testWorkspaceId, afterSequence: 0n });
    await subscriber.caughtUp();
    const request = { workspaceId: testWorkspaceId, type: 'pooled', payload: {} };
    await Promise.all(Array.from({ length: 20 }, () => client.createEvent(request)));
    await subscriber.events(20);
    await subscriber.leave();
    await service.stop();
  });
});
