import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrations } from '../../src/database/migrations/index.ts';
import { newId, uuidOf } from '../../src/type-id.ts';
import { createEventsClient } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { startLoad } from '../support/load.ts';
import { type ServiceProcess, startServiceProcess } from '../support/service-process.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import { startTestService, type TestService, testWorkspaceId } from '../support/test-service.ts';

let service: TestService;
let database: TestDatabase;
const victims: ServiceProcess[] = [];

beforeEach(async () => {
  // Issues the key and the workspace; the process under test has a port of its own.
  service = await startTestService();
  database = service.database;
});
afterEach(async () => {
  // Those that a test which failed has left.
  await Promise.all(victims.splice(0).map((victim) => victim.kill('SIGKILL')));
  await service.stop();
});

/** A service in a process of its own, on the same database unless told otherwise. */
async function startVictim(databaseUrl = database.url): Promise<ServiceProcess> {
  const victim = await startServiceProcess(databaseUrl);
  victims.push(victim);
  return victim;
}

function clientOf(baseUrl: string) {
  return createEventsClient({ baseUrl, secretKey: service.secretKey });
}

/** 32 writers, none of which sends a failed create again. */
function startLoadOn(baseUrl: string) {
  const client = clientOf(baseUrl);
  return startLoad({
    client: () => client,
    workspaceId: testWorkspaceId,
    writers: 32,
    retry: false,
  });
}

test('a service killed under load has stored every event that it acknowledged, once', async () => {
  const victim = await startVictim();
  const load = startLoadOn(victim.baseUrl);
  await load.reached(2_000);
  await victim.kill('SIGKILL');
  const { acknowledged } = await load.stop();

  const survivor = clientOf(service.baseUrl);
  const answers = await Promise.all(
    [...acknowledged].map(async ([key, id]) => {
      const { event } = await survivor.retrieveEvent({ id });
      const replay = await survivor.createEvent({
        workspaceId: testWorkspaceId,
        type: 'load.tested',
        payload: { key },
        idempotencyKey: key,
      });
      return event?.payload?.key === key && replay.replayed && replay.event?.id === id;
    }),
  );
  expect(answers.filter((kept) => !kept)).toEqual([]);
  const duplicates = await database.query(
    `select payload->>'key' from events group by payload->>'key' having count(*) > 1`,
  );
  expect(duplicates).toEqual([]);
}, 60_000);

test('SIGTERM under load: no call in flight fails, what was answered is stored, and the process exits 0', async () => {
  const victim = await startVictim();
  const load = startLoadOn(victim.baseUrl);
  await load.reached(500);
  const beforeSignal = load.report.acknowledged.size;
  victim.child.kill('SIGTERM');
  expect(await victim.ended).toEqual({ code: 0, signal: null });
  const { acknowledged, errors } = await load.stop();
  // Once the process stops, new connections are refused, and streams that were on their way when their
  // client was told are refused unread (REFUSED_STREAM). A call that was taken never fails.
  const inFlight = errors.filter((error) => !/ECONNREFUSED|REFUSED_STREAM/.test(error.message));
  expect(inFlight.map((error) => error.message)).toEqual([]);
  // There were calls in flight: they were answered after the signal.
  expect(acknowledged.size).toBeGreaterThan(beforeSignal);
  const [row] = await database.query<{ count: string }>(`select count(*) from events`);
  expect(Number(row?.count)).toBe(acknowledged.size);
}, 60_000);

test('health answers NOT_SERVING while a call that began before the stop is still being answered', async () => {
  const victim = await startVictim();
  const client = clientOf(victim.baseUrl);
  await client.createEvent({ workspaceId: testWorkspaceId, type: 'tested', payload: {} });
  const blocker = await database.connect();
  await blocker.query('begin');
  await blocker.query('select 1 from workspaces where id = $1 for update', [testWorkspaceId]);
  const inFlight = client.createEvent({
    workspaceId: testWorkspaceId,
    type: 'tested',
    payload: {},
  });
  await expect
    .poll(() =>
      database.query(`
        select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`),
    )
    .not.toEqual([]);

  const session = connectHttp2(victim.baseUrl);
  await once(session, 'connect');
  const health = async () => {
    const request = session.request({ ':path': '/readyz' });
    request.resume();
    const [headers] = await once(request, 'response');
    return headers[':status'];
  };
  expect(await health()).toBe(200);
  victim.child.kill('SIGTERM');
  await expect.poll(health, { interval: 20 }).toBe(503);
  await blocker.end();
  expect((await inFlight).event?.sequence).toBe(2n);
  expect(await victim.ended).toEqual({ code: 0, signal: null });
}, 60_000);

test('two processes that start at once on an empty database migrate it once', async () => {
  const empty = await createTestDatabase();
  await empty.query('drop schema public cascade');
  await empty.query('create schema public');
  const pair = await Promise.all([startVictim(empty.url), startVictim(empty.url)]);
  const ran = await empty.query<{ step: string }>(
    'select step from harbor_schema where done_at is not null order by begun_at',
  );
  expect(ran.map(({ step }) => step)).toEqual(
    migrations.flatMap(({ steps }) => steps.map(({ name }) => name)),
  );
  await Promise.all(pair.map((one) => one.kill('SIGTERM')));
  await empty.drop();
}, 60_000);

test('a service whose log nobody reads goes on', async () => {
  const victim = await startVictim();
  victim.child.stdout?.pause();
  const client = clientOf(victim.baseUrl);
  const calls = Array.from({ length: 3_000 }, () =>
    refusalOf(client.retrieveEvent({ id: newId('evt') })),
  );
  const refusals = await Promise.all(calls);
  expect(refusals.filter(({ reason }) => reason !== 'EVENT_NOT_FOUND')).toEqual([]);
  const { event } = await client.createEvent({
    workspaceId: testWorkspaceId,
    type: 'tested',
    payload: {},
  });
  expect(event?.sequence).toBe(1n);
  // More was logged meanwhile than a pipe holds (64 KiB): the log was stuck.
  let loggedBytes = 0;
  victim.child.stdout?.on('data', (chunk: Buffer) => {
    loggedBytes += chunk.length;
  });
  victim.child.stdout?.resume();
  await expect.poll(() => loggedBytes).toBeGreaterThan(3 * 65_536);
  await victim.kill('SIGKILL');
}, 60_000);

test('more calls at once than the service takes on are refused with RetryInfo; all others are answered', async () => {
  const request = { workspaceId: testWorkspaceId, type: 'tested', payload: {} };
  await createEventsClient(service).createEvent(request);
  const blocker = await database.connect();
  await blocker.query('begin');
  await blocker.query('select 1 from workspaces where id = $1 for update', [testWorkspaceId]);

  // 2,200 calls over 20 connections, of which 2,000 at most are taken on: they wait for the workspace's lock.
  const clients = Array.from({ length: 20 }, () => createEventsClient(service));
  const calls = clients.flatMap((client) =>
    Array.from({ length: 110 }, () => client.createEvent(request)),
  );
  const refused = new Promise((resolve) => {
    for (const call of calls) call.catch(resolve);
  });
  await refused;
  await blocker.end();

  const outcomes = await Promise.all(
    calls.map((call) =>
      call.then(
        ({ event }) => event?.id ?? '',
        (error: unknown) => refusalOf(Promise.reject(error)),
      ),
    ),
  );
  const created = outcomes.filter((outcome) => typeof outcome === 'string');
  const refusals = outcomes.filter((outcome) => typeof outcome !== 'string');
  expect(created.length).toBeGreaterThan(1_000);
  expect(refusals.length).toBeGreaterThan(0);
  const overloaded = { code: 'ResourceExhausted', reason: 'OVERLOADED', retryable: true };
  for (const refusal of refusals) expect(refusal).toMatchObject(overloaded);
  // Each that was answered is stored, and none that was refused.
  const stored = await database.query<{ id: string }>(
    'select id from events where sequence > 1 order by id',
  );
  expect(created.map(uuidOf).toSorted()).toEqual(stored.map(({ id }) => id));
}, 90_000);
