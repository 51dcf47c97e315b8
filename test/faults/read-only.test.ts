import { afterEach, expect, test } from 'vitest';
import { createApiKeyStore, issueApiKey } from '../../src/api-keys/index.ts';
import { openDatabase } from '../../src/database/database.ts';
import { createEventsClient } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { startTestService, type TestService, testWorkspaceId } from '../support/test-service.ts';

let service: TestService | undefined;

afterEach(async () => {
  await service?.stop();
  service = undefined;
});

const unavailable = { code: 'Unavailable', reason: 'DATABASE_UNAVAILABLE', retryable: true };

/** Sessions keep what the database said when they began, as those of a demoted primary do. */
async function turnReadOnly({ database }: TestService): Promise<void> {
  await database.query(`alter database ${database.name} set default_transaction_read_only = on`);
  await endSessions(database);
}

async function turnWritable({ database }: TestService): Promise<void> {
  await database.query(
    `begin read write; alter database ${database.name} reset default_transaction_read_only; commit`,
  );
}

async function endSessions(database: TestService['database']): Promise<void> {
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = $1 and application_name = 'harbor-events'`,
    [database.name],
  );
}

const request = { workspaceId: testWorkspaceId, type: 'demoted', payload: {} };

test('on a server that has become read-only creates are UNAVAILABLE, and work at once when it is not', async () => {
  service = await startTestService();
  const client = createEventsClient(service);
  await client.createEvent(request);
  await turnReadOnly(service);
  // As many at once as leave several sessions in the pool.
  await Promise.allSettled(
    Array.from({ length: 8 }, () => client.listEvents({ workspaceId: testWorkspaceId })),
  );
  await expect
    .poll(async () => (await refusalOf(client.createEvent(request))).reason)
    .toBe('DATABASE_UNAVAILABLE');
  expect(await refusalOf(client.createEvent(request))).toMatchObject(unavailable);
  await turnWritable(service);
  // Without an idempotency key, and so with certainty not stored by a try before.
  await client.createEvent(request);
  const { events } = await client.listEvents({ workspaceId: testWorkspaceId });
  expect(events.map(({ sequence }) => sequence)).toEqual([1n, 2n]);
  expect(service.logLines.filter(({ level }) => level === 50)).toEqual([]);
});

test('a service does not start on a server that takes no writes, and says what to do', async () => {
  const database = await createTestDatabase();
  await database.query(`alter database ${database.name} set default_transaction_read_only = on`);
  await expect(startTestService({}, database)).rejects.toThrow(
    'PostgreSQL takes no writes here (default_transaction_read_only=on)',
  );
  await database.drop();
});

test('a write by entity on a read-only server is UNAVAILABLE and leaves its session to nobody', async () => {
  const database = await createTestDatabase();
  const setting = `alter database ${database.name}`;
  await database.query(`${setting} set default_transaction_read_only = on`);
  const opened = await openDatabase({
    url: database.url,
    // One session: without the mend it is the one that the next write gets.
    poolSize: 1,
    applicationName: 'harbor-test',
    onNotice: () => undefined,
  });
  const store = createApiKeyStore(opened);
  const grant = { kind: 'secret', scopes: [], workspaceIds: [], typePatterns: [] } as const;
  const issue = () =>
    issueApiKey(store, { ...grant, displayName: 'demoted', expiresAt: undefined });
  await expect(issue()).rejects.toMatchObject({
    name: 'DatabaseUnavailable',
    cause: { code: '25006' },
  });
  await database.query(`begin read write; ${setting} reset default_transaction_read_only; commit`);
  expect((await issue()).apiKey).toMatchObject({ displayName: 'demoted' });
  await opened.close();
  await database.drop();
});

test('a table that is locked for long makes reads UNAVAILABLE, not INTERNAL', async () => {
  service = await startTestService();
  const client = createEventsClient(service);
  const { event } = await client.createEvent(request);
  const migrator = await service.database.connect();
  await migrator.query('begin; lock table events, api_keys in access exclusive mode');
  const refused = await Promise.all([
    refusalOf(client.listEvents({ workspaceId: testWorkspaceId })),
    refusalOf(client.retrieveEvent({ id: event?.id ?? '' })),
  ]);
  expect(refused).toMatchObject([unavailable, unavailable]);
  await expect(service.app.apiKeys.list({ afterId: undefined, limit: 1 })).rejects.toThrow(
    expect.objectContaining({ name: 'DatabaseContended' }),
  );
  await migrator.end();
  expect((await client.retrieveEvent({ id: event?.id ?? '' })).event?.id).toBe(event?.id);
});
