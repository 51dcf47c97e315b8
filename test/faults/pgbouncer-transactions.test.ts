import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Config } from '../../src/config.ts';
import { createEventsClient } from '../support/clients.ts';
import { startLoad } from '../support/load.ts';
import {
  newPgBouncer,
  oldPgBouncer,
  type PgBouncer,
  startPgBouncer,
} from '../support/pgbouncer.ts';
import { startPostgresLink } from '../support/postgres-link.ts';
import { range, sequencesIn, subscribeTo } from '../support/subscriber.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService, type TestService, testWorkspaceId } from '../support/test-service.ts';

let database: TestDatabase;
let bouncer: PgBouncer | undefined;
let services: TestService[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await bouncer?.stop();
  await database.drop();
  services = [];
  bouncer = undefined;
});

/** Sessions are few, so that they are shared, and nothing that they are started with is ignored. */
async function startBouncer(program: string | undefined, settings: Record<string, string> = {}) {
  bouncer = await startPgBouncer(program as string, database.url, {
    pool_mode: 'transaction',
    default_pool_size: '4',
    max_client_conn: '200',
    ignore_startup_parameters: '',
    ...settings,
  });
  return bouncer;
}

const keeping = { max_prepared_statements: '200' };

async function startBehind({ url }: PgBouncer, config: Partial<Config> = {}): Promise<TestService> {
  const behind = { ...database, url };
  const service = await startTestService({ databaseDirectUrl: database.url, ...config }, behind);
  services.push(service);
  return service;
}

/** What the service asks for when the role has nothing of it. */
async function readDemand(behind: PgBouncer): Promise<string[]> {
  const error: Error = await startBehind(behind).then(
    () => expect.unreachable('it has started'),
    (error) => error,
  );
  expect(error.name).toBe('PoolerUnfit');
  return error.message.match(/alter role .*?;/g) ?? [];
}

async function setRole(): Promise<void> {
  const { username } = new URL(database.url);
  const settings = {
    lock_timeout: '1s',
    statement_timeout: '10s',
    idle_in_transaction_session_timeout: '10s',
    plan_cache_mode: 'force_generic_plan',
    enable_seqscan: 'off',
    jit: 'off',
  };
  for (const [name, value] of Object.entries(settings)) {
    const role = `role "${username}" in database ${database.name}`;
    await database.query(`alter ${role} set ${name} = '${value}'`);
  }
}

const request = { workspaceId: testWorkspaceId, type: 'pooled', payload: {} };

// Debian 12 has 1.18 as its package pgbouncer.
test.skipIf(oldPgBouncer === undefined)(
  'a PgBouncer of before 1.21 is refused at the start, with the version that it takes',
  async () => {
    await setRole();
    const old = await startBouncer(oldPgBouncer);
    await expect(startBehind(old)).rejects.toMatchObject({
      name: 'PoolerUnfit',
      message: expect.stringContaining('it takes PgBouncer 1.21 or later'),
    });
  },
);

// `test/toolchains/pgbouncer.sh` builds one where the distribution has an older one.
describe.skipIf(newPgBouncer === undefined)('with DATABASE_DIRECT_URL, behind transactions', () => {
  test.each([
    { default_pool_size: '1' },
    { default_pool_size: '20' },
    { server_round_robin: '1', min_pool_size: '4' },
  ])('without max_prepared_statements (%o) it does not start, and says so', async (settings) => {
    await setRole();
    const losing = await startBouncer(newPgBouncer, { max_prepared_statements: '0', ...settings });
    await expect(startBehind(losing)).rejects.toThrow('max_prepared_statements = 200');
  });

  test('without limits on the role it does not start, and does after what it says was done', async () => {
    const behind = await startBouncer(newPgBouncer, keeping);
    const demand = await readDemand(behind);
    expect(demand).toHaveLength(6);
    for (const statement of demand) await database.query(statement);
    await behind.reconnect();
    const service = await startBehind(behind);
    await createEventsClient(service).createEvent(request);
  });

  test('a direct URL that leads to another database is refused', async () => {
    await setRole();
    const behind = await startBouncer(newPgBouncer, keeping);
    const other = await createTestDatabase();
    await expect(startBehind(behind, { databaseDirectUrl: other.url })).rejects.toThrow(
      'lead to different databases',
    );
    await other.drop();
  });

  test('a direct URL that leads to the pooler as well is refused', async () => {
    await setRole();
    const behind = await startBouncer(newPgBouncer, {
      ...keeping,
      ignore_startup_parameters:
        'lock_timeout,statement_timeout,idle_in_transaction_session_timeout',
    });
    const twice = { databaseDirectUrl: behind.url };
    await expect(startBehind(behind, twice)).rejects.toMatchObject({
      name: 'PoolerSharesSessions',
    });
  });

  test.each([keeping, { max_prepared_statements: '2' }])(
    'two processes with 24 connections share 4 sessions (%o): creates, pages and streams as without',
    async (settings) => {
      await setRole();
      const behind = await startBouncer(newPgBouncer, settings);
      const [one, other] = [await startBehind(behind), await startBehind(behind)];
      const [writing, reading] = [createEventsClient(one), createEventsClient(other)];
      const subscriber = subscribeTo(reading, { workspaceId: testWorkspaceId, afterSequence: 0n });
      await subscriber.caughtUp();
      const keys = Array.from({ length: 300 }, (_, index) => `key ${index % 200}`);
      const created = await Promise.all(
        keys.map((idempotencyKey) => writing.createEvent({ ...request, idempotencyKey })),
      );
      expect(created.filter(({ replayed }) => replayed)).toHaveLength(100);
      expect(sequencesIn(await subscriber.events(200))).toEqual(range(1, 200));
      const page = await reading.listEvents({
        workspaceId: testWorkspaceId,
        typePatterns: ['pooled'],
      });
      expect(page.events.length).toBeGreaterThan(0);
      const found = await reading.retrieveEvent({ id: page.events[0]?.id ?? '' });
      expect(found.event).toEqual(page.events[0]);
      await subscriber.leave();
      expect(await countListening()).toBe(2);
      expect(warningsOf(one, other)).toEqual([]);
    },
  );

  test('when the way past the pooler is lost, calls go on, and streams have what others record', async () => {
    await setRole();
    const behind = await startBouncer(newPgBouncer, keeping);
    const direct = await startPostgresLink(database.url, (near, far) => near.pipe(far).pipe(near));
    const config = { databaseDirectUrl: direct.url };
    const [one, other] = [await startBehind(behind, config), await startBehind(behind, config)];
    const subscriber = subscribeTo(createEventsClient(other), { workspaceId: testWorkspaceId });
    await subscriber.caughtUp();
    await expect.poll(countListening).toBe(2);
    await direct.stop();
    await expect.poll(countListening).toBe(0);
    await createEventsClient(one).createEvent(request);
    expect(sequencesIn(await subscriber.events(1))).toEqual([1]);
    await subscriber.leave();
    await expect
      .poll(() => warningsOf(one, other).map(({ cause }) => cause))
      .toContainEqual(
        expect.objectContaining({ message: 'PostgreSQL cannot be reached past the pooler' }),
      );
  });

  test.each(['the pooler', 'its sessions'])(
    '%s lost under load: nothing acknowledged is lost or doubled, and creates go on by themselves',
    async (what) => {
      await setRole();
      const behind = await startBouncer(newPgBouncer, keeping);
      const client = createEventsClient(await startBehind(behind));
      const load = startLoad({
        client: () => client,
        workspaceId: testWorkspaceId,
        writers: 32,
        retry: true,
      });
      for (let round = 1; round <= 3; round++) {
        await load.reached(round * 400);
        if (what === 'the pooler') {
          await behind.kill();
          await behind.start();
        } else {
          await endSessions();
        }
      }
      await load.reached(1_600);
      const { acknowledged } = await load.stop();
      const stored = await database.query<{ key: string }>(
        `select payload->>'key' as key from events`,
      );
      const keys = new Set(stored.map(({ key }) => key));
      expect(keys.size).toBe(stored.length);
      expect([...acknowledged.keys()].filter((key) => !keys.has(key))).toEqual([]);
    },
  );
});

async function countListening(): Promise<number> {
  const rows = await database.query(
    `select from pg_stat_activity where datname = $1 and query like 'listen %'`,
    [database.name],
  );
  return rows.length;
}

async function endSessions(): Promise<void> {
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = $1 and application_name = 'harbor-events'`,
    [database.name],
  );
}

/** What was logged as more than the ordinary. */
function warningsOf(...running: TestService[]) {
  return running.flatMap(({ logLines }) => logLines.filter(({ level }) => Number(level) >= 40));
}
