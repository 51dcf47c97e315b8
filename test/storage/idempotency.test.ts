import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CreateEventResponse } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createEventsClient } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { type ServiceProcess, startServiceProcess } from '../support/service-process.ts';
import { startTestService, type TestService, testWorkspaceId } from '../support/test-service.ts';

let service: TestService;
let other: ServiceProcess;

beforeAll(async () => {
  service = await startTestService();
  other = await startServiceProcess(service.database.url);
});
afterAll(async () => {
  await other.kill('SIGTERM');
  await service.stop();
});

const here = () => createEventsClient(service);
const there = () => createEventsClient({ baseUrl: other.baseUrl, secretKey: service.secretKey });

function create(idempotencyKey: string, payload: Record<string, number> = { amount: 1 }) {
  return { workspaceId: testWorkspaceId, type: 'invoice.paid', payload, idempotencyKey };
}

async function countEvents(): Promise<number> {
  const [row] = await service.database.query<{ count: string }>('select count(*) from events');
  return Number(row?.count);
}

/** One event, created once; everybody else got the same one as a replay. */
function expectOneWinner(answers: CreateEventResponse[]) {
  expect(new Set(answers.map(({ event }) => event?.id)).size).toBe(1);
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
}

test('16 creates at once with the same key make one event, in one process', async () => {
  const before = await countEvents();
  const calls = Array.from({ length: 16 }, () => here().createEvent(create('16 here')));
  expectOneWinner(await Promise.all(calls));
  expect(await countEvents()).toBe(before + 1);
});

test('16 creates at once with the same key make one event, across two processes', async () => {
  for (let round = 0; round < 10; round++) {
    const calls = Array.from({ length: 16 }, (_, index) =>
      (index % 2 === 0 ? here() : there()).createEvent(create(`16 across ${round}`)),
    );
    expectOneWinner(await Promise.all(calls));
  }
});

test('a key that is used for other content is refused, names its event, and stores nothing', async () => {
  const { event } = await here().createEvent(create('reused'));
  const before = await countEvents();
  const refusal = await refusalOf(there().createEvent(create('reused', { amount: 2 })));
  expect(refusal).toMatchObject({
    code: 'AlreadyExists',
    reason: 'IDEMPOTENCY_KEY_REUSED',
    metadata: { event_id: event?.id, expires_at: expect.stringMatching(/^\d{4}-.*Z$/) },
  });
  expect(await countEvents()).toBe(before);
});

test('different contents at once under one key: one is created, its equals are replays, the rest refused', async () => {
  const calls = Array.from({ length: 16 }, (_, index) =>
    here()
      .createEvent(create('mixed', { amount: index % 2 }))
      .then(
        ({ replayed }) => (replayed ? 'replayed' : 'created'),
        () => 'refused',
      ),
  );
  const outcomes = Object.groupBy(await Promise.all(calls), (outcome) => outcome);
  expect(outcomes.created).toHaveLength(1);
  expect(outcomes.replayed).toHaveLength(7);
  expect(outcomes.refused).toHaveLength(8);
});

test('a key belongs to its workspace', async () => {
  await service.app.workspaces.create('ws_elsewhere', '');
  const first = await here().createEvent(create('both'));
  const second = await here().createEvent({ ...create('both'), workspaceId: 'ws_elsewhere' });
  expect(second.replayed).toBe(false);
  expect(second.event?.id).not.toBe(first.event?.id);
});

test('a key lives 24 hours from the create that recorded it, and a replay does not prolong it', async () => {
  const first = await here().createEvent(create('24 hours'));
  const again = await here().createEvent(create('24 hours'));
  const livesMs =
    Number(first.idempotencyKeyExpiresAt?.seconds) - Number(first.event?.createdAt?.seconds);
  expect(livesMs).toBeGreaterThanOrEqual(86_399);
  expect(livesMs).toBeLessThanOrEqual(86_400);
  expect(again.idempotencyKeyExpiresAt).toEqual(first.idempotencyKeyExpiresAt);
});

test('an expired key makes one new event when 8 claim it at once while the sweeper runs', async () => {
  for (let round = 0; round < 10; round++) {
    const key = `expired ${round}`;
    const old = await here().createEvent(create(key));
    await service.database.query(
      `update idempotency_keys set expires_at = clock_timestamp() where key = $1`,
      [key],
    );
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        (index % 2 === 0 ? here() : there()).createEvent(create(key, { amount: 2 })),
      ),
    );
    expectOneWinner(answers);
    expect(answers[0]?.event?.id).not.toBe(old.event?.id);
  }
});

test('the sweeper deletes expired keys and leaves live ones', async () => {
  await here().createEvent(create('live'));
  await here().createEvent(create('dead'));
  await service.database.query(
    `update idempotency_keys set expires_at = clock_timestamp() where key = 'dead'`,
  );
  const keys = () =>
    service.database
      .query<{ key: string }>(`select key from idempotency_keys where key in ('live', 'dead')`)
      .then((rows) => rows.map(({ key }) => key));
  await expect.poll(keys, { timeout: 10_000 }).toEqual(['live']);
});

test('a create waits for the transaction that holds its key, and takes over when that one dies', async () => {
  const winner = await service.database.connect();
  await winner.query('begin');
  await winner.query(
    `insert into idempotency_keys (workspace_id, key, fingerprint, event_id, created_at, expires_at)
     values ($1, 'orphan', '\\x00', gen_random_uuid(), now(), now() + interval '24 hours')`,
    [testWorkspaceId],
  );
  const waiting = here().createEvent(create('orphan'));
  await expect
    .poll(() =>
      service.database.query(`
        select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`),
    )
    .not.toEqual([]);
  const [{ pid } = { pid: 0 }] = (
    await winner.query<{ pid: number }>('select pg_backend_pid() as pid')
  ).rows;
  await service.database.query('select pg_terminate_backend($1)', [pid]);
  const { replayed, event } = await waiting;
  expect(replayed).toBe(false);
  const again = await there().createEvent(create('orphan'));
  expect(again).toMatchObject({ replayed: true, event: { id: event?.id } });
});
