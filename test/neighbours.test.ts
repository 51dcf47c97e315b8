import type pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEventsClient } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { startTestService, type TestService, testWorkspaceId } from './support/test-service.ts';

let service: TestService;
/** Holds the counter of the workspace that floods: what is sent there waits. */
let holder: pg.Client;
let floodKey: string;

beforeEach(async () => {
  service = await startTestService();
  await service.app.workspaces.create('ws_flood', '');
  floodKey = await service.issueKey({ kind: 'secret' });
  holder = await service.database.connect();
  await holder.query('begin');
  await holder.query(`select from workspaces where id = 'ws_flood' for update`);
});
afterEach(async () => {
  await holder.end();
  await service.stop();
});

const flooding = { workspaceId: 'ws_flood', type: 'tested', payload: {} };
const batch = { requests: Array.from({ length: 100 }, () => flooding) };

type FloodClient = ReturnType<typeof createEventsClient>;

/** Makes calls at once, 100 a connection; resolves with the reason of the first that is refused. */
function flood(count: number, call: (client: FloodClient) => Promise<string>) {
  const { baseUrl } = service;
  let client: FloodClient;
  const calls = Array.from({ length: count }, (_, index) => {
    if (index % 100 === 0) client = createEventsClient({ baseUrl, secretKey: floodKey });
    return call(client);
  });
  return { first: Promise.race(calls), all: Promise.all(calls) };
}

const single = async (client: FloodClient) =>
  (await refusalOf(client.createEvent(flooding))).reason ?? '';

async function batched(client: FloodClient): Promise<string> {
  const { results } = await client.batchCreateEvents(batch);
  const reasons = results.map(({ result }) => result.case === 'error' && result.value.reason);
  return reasons.includes('OVERLOADED') ? 'OVERLOADED' : String(reasons[0]);
}

/** 50 creates of another workspace with another key, one after another and then at once. */
async function createBeside(): Promise<void> {
  const client = createEventsClient(service);
  const create = () =>
    client.createEvent({ workspaceId: testWorkspaceId, type: 'tested', payload: {} });
  for (let n = 0; n < 25; n++) await create();
  await Promise.all(Array.from({ length: 25 }, create));
}

test('a key that has all the calls waiting that it may have leaves places for the calls of others', async () => {
  const calls = flood(2_100, single);
  expect(await calls.first).toBe('OVERLOADED');
  await createBeside();
  const reasons = Map.groupBy(await calls.all, (reason) => reason);
  expect([...reasons.keys()].sort()).toEqual(['DATABASE_UNAVAILABLE', 'OVERLOADED']);
});

test('a workspace that has all the creates waiting that it may have leaves room for the creates of others', async () => {
  const calls = flood(300, batched);
  await calls.first;
  // The batches that came first are waiting still: the room of their workspace is full.
  expect(await batched(createEventsClient({ ...service, secretKey: floodKey }))).toBe('OVERLOADED');
  await createBeside();
  expect(await calls.all).toContain('OVERLOADED');
});
