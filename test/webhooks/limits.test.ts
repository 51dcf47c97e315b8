import { expect, test } from 'vitest';
import { type DeliveryLab, labWorkspace } from '../support/delivery-lab.ts';
import { fillLog } from '../support/filled-log.ts';
import { labOfEachTest } from '../support/lab-of-each-test.ts';
import type { Receiver } from '../support/webhook-receiver.ts';

let lab: DeliveryLab;
let receiver: Receiver;
labOfEachTest((made) => {
  ({ lab, receiver } = made);
});

const fill = (count: number, workspaceId = labWorkspace, payload: unknown = {}) =>
  fillLog(
    lab.database,
    workspaceId,
    Array.from({ length: count }, () => ({ type: 'order.paid', payload })),
  );
/** Tells the requests of an endpoint by the second of the database's clock in which they were recorded to begin. */
const busiest = (id: string, seconds: number) =>
  lab.row<{ most: number }>(
    `select max(count)::int as most from (
       select count(*) over (order by started_at
         range between current row and $2::float8 * interval '1 second' following) as count
       from webhook_attempts where endpoint_id = $1
     ) as counted`,
    [id, seconds],
  );

test('an endpoint has no more requests at once than it takes, over two processes', async () => {
  const id = await lab.addEndpoint({ url: `${receiver.baseUrl}/hooks`, maxInFlight: 3 });
  await fill(60);
  await Promise.all([lab.start(), lab.start()]);
  await lab.settled(id);
  expect(receiver.mostOpen.get('/hooks')).toBeLessThanOrEqual(3);
});

test('an endpoint has no more requests a second than it takes, with bursts of a second, over two processes', async () => {
  const id = await lab.addEndpoint({
    url: `${receiver.baseUrl}/hooks`,
    maxPerSecond: 20,
    maxInFlight: 100,
  });
  await fill(100);
  await Promise.all([lab.start(), lab.start()]);
  await lab.settled(id);
  // A bucket of a second, and what comes in meanwhile.
  expect((await busiest(id, 2)).most).toBeLessThanOrEqual(20 + 2 * 20);
  expect((await busiest(id, 1)).most).toBeLessThanOrEqual(20 + 20);
});

test('a dead endpoint with many events behind it costs less than 2,000 rows, and delays no other', async () => {
  const dead = await lab.addEndpoint({ url: `${receiver.baseUrl}/dead`, maxInFlight: 1_000 });
  const alive = await lab.addEndpoint({ url: `${receiver.baseUrl}/alive`, maxInFlight: 500 });
  await fill(6_000);
  receiver.answer = ({ path }) => (path === '/dead' ? 500 : 204);
  await lab.start({ schedule: { retryAfterMs: [600_000], circuitAfterMs: 0 } });
  await receiver.waitFor('/alive', 6_000);
  await lab.settled(alive);
  const rows = await lab.row(
    `select (select count(*) from webhook_work where endpoint_id = $1)
       + (select count(*) from webhook_windows where endpoint_id = $1)
       + (select count(*) from webhook_attempts where endpoint_id = $1) as count`,
    [dead],
  );
  expect(Number(rows.count)).toBeLessThan(2_000);
});

test('endpoints that never answer leave room for all others', async () => {
  await lab.addWorkspace('ws_other');
  for (let index = 0; index < 5; index++) {
    await lab.addEndpoint({ url: `${receiver.baseUrl}/hang`, maxInFlight: 1_000 });
  }
  const alive = await lab.addEndpoint({ url: `${receiver.baseUrl}/alive` });
  const other = await lab.addEndpoint({
    url: `${receiver.baseUrl}/other`,
    workspaceId: 'ws_other',
  });
  await fill(500);
  receiver.answer = ({ path }) => (path === '/hang' ? 'nothing' : 204);
  const sender = await lab.start({ limits: { requestsMax: 64, bytesMax: 1024 * 1024 } });
  await receiver.waitFor('/hang', 16);
  await fill(50, 'ws_other');
  await receiver.waitFor('/other', 50);
  await lab.settled(other);
  await lab.settled(alive);
  expect(sender.engine.load.requests).toBeLessThan(64);
});

test('bodies on their way are bounded in bytes, and count once however many are sent them', async () => {
  const ids: string[] = [];
  for (let index = 0; index < 8; index++) {
    ids.push(await lab.addEndpoint({ url: `${receiver.baseUrl}/${index}`, maxInFlight: 1_000 }));
  }
  await fill(40, labWorkspace, { text: 'x'.repeat(100_000) });
  const bytesMax = 1024 * 1024;
  const held = Promise.withResolvers<number>();
  receiver.answer = () => held.promise;
  const sender = await lab.start({ limits: { requestsMax: 4_096, bytesMax } });
  // Of one workspace, half of it: five bodies, each to all endpoints.
  await expect.poll(() => sender.engine.load.requests).toBe(8 * 5);
  expect(sender.engine.load.bytes).toBeLessThan(bytesMax);
  held.resolve(204);
  for (const id of ids) await lab.settled(id);
  expect(receiver.received).toHaveLength(8 * 40);
  expect(sender.engine.load).toEqual({ requests: 0, bytes: 0 });
});

test('a thousand endpoints at rest cost one look a second, and nothing else', async () => {
  await lab.database.query(
    `insert into workspaces (id, display_name, created_at)
     select 'ws_' || n, '', now() from generate_series(1, 100) as n`,
  );
  await lab.database.query(
    `with made as (
       insert into webhook_endpoints (id, workspace_id, url, description, type_patterns, header_names, max_in_flight,
         timeout_ms, ordering, status, status_changed_at, created_at, updated_at)
       select gen_random_uuid(), 'ws_' || (n % 100 + 1), 'https://example.com', '', '{}', '{}', 10, 15000, 'none',
         'enabled', now(), now(), now()
       from generate_series(1, 1000) as n returning id, workspace_id
     ), states as (
       insert into webhook_states (endpoint_id, workspace_id) select id, workspace_id from made
     )
     insert into webhook_cursors (id, workspace_id, endpoint_id, kind, state, position, first_sequence, type_patterns,
       created_at)
     select id, workspace_id, id, 'live', 'running', 0, 1, '{}', now() from made`,
  );
  const sender = await lab.start();
  const looks = () => sender.statements.filter(({ name }) => name === 'harbor_webhooks_look');
  await expect.poll(() => looks().length).toBeGreaterThan(2);
  const before = { looks: looks().length, statements: sender.statements.length };
  await expect.poll(() => looks().length).toBeGreaterThan(before.looks + 10);
  expect(sender.statements.length - before.statements).toBe(looks().length - before.looks);
});
