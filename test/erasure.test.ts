import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EventsService } from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createTransport, wires } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { moveFloor } from './support/filled-log.ts';
import { sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
/** Another process on the same database. */
let other: TestService;
let client: Client<typeof EventsService>;
let otherClient: Client<typeof EventsService>;
let workspaceId: string;

const clientOf = (
  { baseUrl, secretKey }: Pick<TestService, 'baseUrl' | 'secretKey'>,
  wire = wires[0],
) => createClient(EventsService, createTransport(wire, baseUrl, secretKey));

beforeAll(async () => {
  service = await startTestService();
  other = await startTestService({}, service.database);
  const secretKey = await service.issueKey({ kind: 'secret', scopes: ['all'] });
  client = clientOf({ ...service, secretKey });
  otherClient = clientOf({ ...other, secretKey });
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});

let workspaces = 0;
beforeEach(async () => {
  workspaceId = `ws_erased${++workspaces}`;
  await service.app.workspaces.create(workspaceId, '');
});

const content = {
  subject: 'usr_1',
  payload: { name: 'Ada', nested: { email: 'ada@example.com' } },
  metadata: { origin: 'sign-up' },
};
interface Fields {
  readonly subject?: string;
  readonly occurredAt?: { seconds: bigint; nanos: number };
  readonly idempotencyKey?: string;
}
async function create(fields: Fields = {}) {
  const request = { workspaceId, type: 'user.signed_up', ...content, ...fields };
  const { event } = await client.createEvent(request);
  if (event === undefined) throw new Error('no event was created');
  return event;
}
const logOf = async () => (await client.listEvents({ workspaceId, pageSize: 500 })).events;
const noticesIn = (events: Awaited<ReturnType<typeof logOf>>) =>
  events.filter(({ type }) => type === 'harbor.event.erased');
const revisionOf = async () => {
  const text = 'select revision::int from workspaces where id = $1';
  const [row] = await service.database.query<{ revision: number }>(text, [workspaceId]);
  return row?.revision;
};

test('what an event held is gone everywhere, and its envelope, sequence and time stay', async () => {
  const occurredAt = { seconds: 1_700_000_000n, nanos: 123_456_000 };
  const event = await create({ occurredAt });
  await create({ subject: 'usr_2' });
  const { event: erased } = await client.eraseEvent({ id: event.id });
  expect(erased).toEqual({
    ...event,
    payload: {},
    subject: '',
    metadata: {},
    erasedAt: erased?.erasedAt,
  });
  expect(erased?.erasedAt).toBeDefined();
  expect((await client.retrieveEvent({ id: event.id })).event).toEqual(erased);
  const [first, second] = await logOf();
  expect(first).toEqual(erased);
  expect(second).toMatchObject({ subject: 'usr_2', payload: content.payload });
  const bySubject = await client.listEvents({ workspaceId, subject: 'usr_1' });
  expect(bySubject.events).toEqual([]);
  const rows = await service.database.query(
    'select events::text as row from events where workspace_id = $1 and sequence = 1',
    [workspaceId],
  );
  expect(JSON.stringify(rows)).not.toMatch(/ada|sign-up|usr_1/i);
});

test('the log tells once which event was erased, after everything that was there', async () => {
  const event = await create();
  await create();
  await client.eraseEvent({ id: event.id });
  const log = await logOf();
  expect(log.map(({ sequence }) => Number(sequence))).toEqual([1, 2, 3]);
  expect(log[2]).toMatchObject({
    type: 'harbor.event.erased',
    payload: { event_id: event.id, sequence: 1 },
    apiKeyId: '',
  });
});

test('erasing again changes nothing and succeeds', async () => {
  const { id } = await create();
  const { event: first } = await client.eraseEvent({ id, workspaceId });
  const { event: again } = await otherClient.eraseEvent({ id, workspaceId });
  expect(again).toEqual(first);
  expect(noticesIn(await logOf())).toHaveLength(1);
  expect(await revisionOf()).toBe(1);
});

test('of many that erase an event at once, in two processes, one does, and all are told the same', async () => {
  const { id } = await create();
  const answers = await Promise.all(
    Array.from({ length: 16 }, (_, index) =>
      (index % 2 === 0 ? client : otherClient).eraseEvent({ id }),
    ),
  );
  expect(new Set(answers.map(({ event }) => JSON.stringify(event?.erasedAt?.nanos))).size).toBe(1);
  expect(noticesIn(await logOf())).toHaveLength(1);
  expect(await revisionOf()).toBe(1);
});

test('many events that are erased at once, beside creates, are each told of once and leave no gap', async () => {
  const events = await Promise.all(Array.from({ length: 30 }, () => create()));
  await Promise.all([
    ...events.flatMap(({ id }) => [client.eraseEvent({ id }), otherClient.eraseEvent({ id })]),
    ...Array.from({ length: 60 }, () => create({ subject: '' })),
  ]);
  const log = await logOf();
  expect(log.map(({ sequence }) => Number(sequence))).toEqual(log.map((_, index) => index + 1));
  const told = noticesIn(log).map(({ payload }) => payload?.event_id);
  expect(told.toSorted()).toEqual(events.map(({ id }) => id).toSorted());
  expect(await revisionOf()).toBe(30);
});

test('a retry of the create returns the erased event, and any other create with its key is refused', async () => {
  const idempotencyKey = 'the key';
  const event = await create({ idempotencyKey });
  const { event: erased } = await client.eraseEvent({ id: event.id });
  const retried = await otherClient.createEvent({
    workspaceId,
    type: 'user.signed_up',
    ...content,
    idempotencyKey,
  });
  expect(retried).toMatchObject({ replayed: true, event: erased });
  const reused = otherClient.createEvent({
    workspaceId,
    type: 'user.signed_up',
    payload: {},
    idempotencyKey,
  });
  expect(await refusalOf(reused)).toMatchObject({ reason: 'IDEMPOTENCY_KEY_REUSED' });
});

test('the audit says who erased what, and nothing of what it held', async () => {
  const { id } = await create();
  await client.eraseEvent({ id });
  await client.eraseEvent({ id });
  const records = await service.database.query(
    `select action, target_id, workspace_ids, changes, api_key_id is not null as has_key,
       request_id <> '' as has_request from audit_records where target_id = $1`,
    [id],
  );
  expect(records).toEqual([
    {
      action: 'event.erased',
      target_id: id,
      workspace_ids: [workspaceId],
      changes: {},
      has_key: true,
      has_request: true,
    },
  ]);
});

test('an event that retention is past, or whose workspace was deleted, is not found', async () => {
  const [one, two] = [await create(), await create()];
  await moveFloor(service.database, workspaceId, 2);
  const past = await refusalOf(client.eraseEvent({ id: one.id }));
  expect(past).toMatchObject({ reason: 'EVENT_NOT_FOUND', metadata: { event_id: one.id } });
  await service.database.query('update workspaces set deleted_at = now() where id = $1', [
    workspaceId,
  ]);
  const gone = await refusalOf(client.eraseEvent({ id: two.id }));
  expect(gone).toMatchObject({ reason: 'EVENT_NOT_FOUND' });
});

test('nothing is half erased when the log cannot tell of it', async () => {
  const { id } = await create();
  // The counter of the workspace is held by somebody else for longer than anybody waits.
  const holder = await service.database.connect();
  await holder.query('begin');
  await holder.query('select from workspaces where id = $1 for update', [workspaceId]);
  const refusal = await refusalOf(client.eraseEvent({ id }));
  expect(refusal).toMatchObject({ reason: 'DATABASE_UNAVAILABLE', retryable: true });
  await holder.query('rollback');
  await holder.end();
  const { event } = await client.retrieveEvent({ id });
  expect(event).toMatchObject({ subject: 'usr_1', payload: content.payload });
  expect(await revisionOf()).toBe(0);
  await client.eraseEvent({ id });
  expect(noticesIn(await logOf())).toHaveLength(1);
});

describe('who may erase', () => {
  const clientWith = async (grant: Parameters<TestService['issueKey']>[0]) =>
    clientOf({ ...service, secretKey: await service.issueKey(grant) });

  test('the scope events:erase is needed, which a secret key has only with the scope all', async () => {
    const { id } = await create();
    const missing = {
      code: 'PermissionDenied',
      reason: 'SCOPE_MISSING',
      metadata: { scope: 'events:erase' },
    };
    for (const grant of [
      { kind: 'secret' },
      { scopes: ['events:read', 'events:write'] },
    ] as const) {
      const caller = await clientWith(grant as never);
      expect(await refusalOf(caller.eraseEvent({ id }))).toMatchObject(missing);
    }
    const eraser = await clientWith({ scopes: ['events:erase'] });
    expect((await eraser.eraseEvent({ id })).event?.erasedAt).toBeDefined();
  });

  test.each([
    { workspaceIds: ['ws_test'], typePatterns: [] },
    { workspaceIds: [], typePatterns: ['invoice.*'] },
  ])('a key restricted to %o finds no other event to erase', async (restriction) => {
    const { id } = await create();
    const caller = await clientWith({ scopes: ['events:erase'], ...restriction });
    const refusal = await refusalOf(caller.eraseEvent({ id }));
    expect(refusal).toMatchObject({ reason: 'EVENT_NOT_FOUND', metadata: { event_id: id } });
    expect((await client.retrieveEvent({ id })).event).toMatchObject({ subject: 'usr_1' });
  });

  test("the service's own events cannot be erased", async () => {
    const { id } = await create();
    await client.eraseEvent({ id });
    const [notice] = noticesIn(await logOf());
    const refusal = await refusalOf(client.eraseEvent({ id: notice?.id ?? '' }));
    expect(refusal).toMatchObject({
      code: 'PermissionDenied',
      reason: 'EVENT_TYPE_NOT_ALLOWED',
      metadata: { type: 'harbor.event.erased' },
    });
  });

  test('an event of another workspace than was named is not found', async () => {
    const { id } = await create();
    const refusal = await refusalOf(client.eraseEvent({ id, workspaceId: 'ws_test' }));
    expect(refusal).toMatchObject({ reason: 'EVENT_NOT_FOUND' });
  });
});

test('over REST it is a POST without a body, or with an empty one, answered with the event', async () => {
  const { id } = await create();
  const secretKey = await service.issueKey({ scopes: ['events:erase'] });
  const erase = (path: string) =>
    fetch(`${service.baseUrl}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secretKey}` },
    });
  const response = await erase(`/v1/events/${id}/erase?workspace_id=${workspaceId}`);
  expect(response.status).toBe(200);
  const event = (await response.json()) as Record<string, unknown>;
  expect(event).toMatchObject({ id, type: 'user.signed_up', payload: {}, sequence: 1 });
  expect(event.erased_at).toMatch(/^20\d\d-.*Z$/);
  expect(event).not.toHaveProperty('subject');
  const again = await sendRequest(service, `/v1/events/${id}/erase`, {
    headers: { authorization: `Bearer ${secretKey}` },
    body: {},
  });
  expect(again.status).toBe(200);
  expect(JSON.parse(again.text)).toEqual(event);
  expect(await (await erase('/v1/events/evt_none/erase')).json()).toMatchObject({
    reason: 'EVENT_NOT_FOUND',
  });
});
