import { create, type MessageInitShape, toBinary, toJsonString } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type BatchCreateEventsRequest,
  BatchCreateEventsRequestSchema,
  type BatchCreateEventsResponse,
  type CreateEventRequestSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { wires } from '../support/clients.ts';
import { connectPost } from '../support/connect-post.ts';
import { refusalOf } from '../support/errors.ts';
import { fullFacts } from '../support/full-facts.ts';
import { createLogClient } from '../support/log-wires.ts';
import { range } from '../support/subscriber.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

type NewEvent = MessageInitShape<typeof CreateEventRequestSchema>;

const batchBytesMax = 8 * 1024 * 1024;
const batchPath = '/harbor.events.v1.EventsService/BatchCreateEvents';

let service: TestService;
let narrowKey: string;
beforeAll(async () => {
  service = await startTestService();
  await service.app.workspaces.create('ws_closed', '');
  narrowKey = await service.issueKey({
    scopes: ['events:write'],
    workspaceIds: ['ws_test'],
    typePatterns: ['batch.*'],
  });
});
afterAll(() => service.stop());

let workspaces = 0;
async function newWorkspace(): Promise<string> {
  const id = `ws_batch${++workspaces}`;
  await service.app.workspaces.create(id, '');
  return id;
}

let keys = 0;
const freshKey = () => `batch key ${++keys}`;

const item = (fields: NewEvent = {}): NewEvent => ({
  workspaceId: service.workspaceId,
  type: 'batch.tested',
  payload: {},
  ...fields,
});

/** Each result in one line: `created`, `replayed`, or the reason of its error. */
const outcomesOf = ({ results }: BatchCreateEventsResponse) =>
  results.map(({ result }) => {
    if (result.case !== 'created') return result.value?.reason;
    return result.value.replayed ? 'replayed' : 'created';
  });
const sequencesOf = ({ results }: BatchCreateEventsResponse) =>
  results.map(({ result }) =>
    result.case === 'created' ? Number(result.value.event?.sequence) : undefined,
  );
const errorOf = ({ results }: BatchCreateEventsResponse, place: number) => {
  const result = results[place]?.result;
  return result?.case === 'error' ? result.value : undefined;
};
const createdOf = ({ results }: BatchCreateEventsResponse, place: number) => {
  const result = results[place]?.result;
  return result?.case === 'created' ? result.value : undefined;
};

async function storedSequences(workspaceId: string): Promise<number[]> {
  const rows = await service.database.query<{ sequence: string }>(
    'select sequence from events where workspace_id = $1 order by sequence',
    [workspaceId],
  );
  return rows.map(({ sequence }) => Number(sequence));
}

describe.each(wires)('over %s', (wire) => {
  const client = () => createLogClient(service, wire);

  test('each item has its own result, in the order of the items', async () => {
    const workspaceId = await newWorkspace();
    const names = range(1, 40).map((number) => `item ${number}`);
    const answer = await client().batchCreateEvents({
      requests: names.map((name) => item({ workspaceId, type: name, payload: { name } })),
    });
    const created = names.map((_, place) => createdOf(answer, place)?.event);
    expect(created.map((event) => event?.type)).toEqual(names);
    expect(created.map((event) => event?.payload?.name)).toEqual(names);
    expect(new Set(created.map((event) => event?.id)).size).toBe(names.length);
    expect(sequencesOf(answer)).toEqual(range(1, 40));
  });

  test('an item that is refused says why and harms no other', async () => {
    const workspaceId = await newWorkspace();
    const reused = freshKey();
    const first = await client().createEvent(item({ workspaceId, idempotencyKey: reused }));
    const good = item({ workspaceId });
    const answer = await client().batchCreateEvents({
      requests: [
        good,
        item({ workspaceId, type: '' }),
        item({ workspaceId: 'not a workspace' }),
        { workspaceId, type: 'batch.tested' },
        good,
        item({ workspaceId, payload: { inner: { text: '\0' } } }),
        item({ workspaceId, payload: { text: 'x'.repeat(262_144) } }),
        item({ workspaceId: 'ws_nowhere' }),
        item({ workspaceId, idempotencyKey: 'ключ' }),
        item({ workspaceId, idempotencyKey: reused, payload: { other: true } }),
        good,
      ],
    });
    expect(outcomesOf(answer)).toEqual([
      'created',
      'INVALID_REQUEST',
      'INVALID_REQUEST',
      'PAYLOAD_INVALID',
      'created',
      'PAYLOAD_INVALID',
      'PAYLOAD_TOO_LARGE',
      'WORKSPACE_NOT_FOUND',
      'INVALID_REQUEST',
      'IDEMPOTENCY_KEY_REUSED',
      'created',
    ]);
    expect(errorOf(answer, 1)).toMatchObject({ code: 3, fieldViolations: [{ field: 'type' }] });
    expect(errorOf(answer, 2)?.fieldViolations[0]?.field).toBe('workspace_id');
    expect(errorOf(answer, 3)).toMatchObject({ code: 3, fieldViolations: [{ field: 'payload' }] });
    expect(errorOf(answer, 5)?.fieldViolations[0]?.field).toBe('payload.inner.text');
    expect(errorOf(answer, 6)).toMatchObject({
      code: 3,
      metadata: { payload_bytes_max: '262144' },
      fieldViolations: [{ field: 'payload' }],
    });
    expect(errorOf(answer, 7)).toMatchObject({
      code: 5,
      message: 'no workspace ws_nowhere',
      metadata: { workspace_id: 'ws_nowhere' },
    });
    expect(errorOf(answer, 8)?.fieldViolations[0]?.field).toBe('idempotency_key');
    expect(errorOf(answer, 9)).toMatchObject({
      code: 6,
      metadata: { event_id: first.event?.id, expires_at: expect.stringMatching(/^\d{4}-.*Z$/) },
    });
    expect(await storedSequences(workspaceId)).toEqual([1, 2, 3, 4]);
  });

  test('an item beyond the API key is refused and harms no other', async () => {
    const narrow = createLogClient({ ...service, secretKey: narrowKey }, wire);
    const answer = await narrow.batchCreateEvents({
      requests: [
        item(),
        item({ workspaceId: 'ws_closed' }),
        item({ type: 'order.placed' }),
        item(),
      ],
    });
    expect(outcomesOf(answer)).toEqual([
      'created',
      'WORKSPACE_NOT_ALLOWED',
      'EVENT_TYPE_NOT_ALLOWED',
      'created',
    ]);
    expect(errorOf(answer, 1)).toMatchObject({ code: 7, metadata: { workspace_id: 'ws_closed' } });
    expect(errorOf(answer, 2)).toMatchObject({ code: 7, metadata: { type: 'order.placed' } });
    expect(await storedSequences('ws_closed')).toEqual([]);
  });

  test('the same key twice in one batch is one event and its replay, or a reuse error', async () => {
    const workspaceId = await newWorkspace();
    const idempotencyKey = freshKey();
    const same = item({ workspaceId, idempotencyKey, payload: { amount: 1 } });
    const answer = await client().batchCreateEvents({
      requests: [same, same, { ...same, payload: { amount: 2 } }, item({ workspaceId }), same],
    });
    expect(outcomesOf(answer)).toEqual([
      'created',
      'replayed',
      'IDEMPOTENCY_KEY_REUSED',
      'created',
      'replayed',
    ]);
    const id = createdOf(answer, 0)?.event?.id;
    expect([1, 4].map((place) => createdOf(answer, place)?.event?.id)).toEqual([id, id]);
    expect(createdOf(answer, 0)?.idempotencyKeyExpiresAt).toBeDefined();
    expect(createdOf(answer, 3)?.idempotencyKeyExpiresAt).toBeUndefined();
    expect(errorOf(answer, 2)?.metadata.event_id).toBe(id);
    expect(await storedSequences(workspaceId)).toEqual([1, 2]);
  });

  test('a batch that is sent again is a replay of every item', async () => {
    const workspaceId = await newWorkspace();
    const requests = range(1, 20).map((n) =>
      item({ workspaceId, idempotencyKey: freshKey(), payload: { n } }),
    );
    const once = await client().batchCreateEvents({ requests });
    const again = await client().batchCreateEvents({ requests: requests.toReversed() });
    expect(outcomesOf(again)).toEqual(requests.map(() => 'replayed'));
    expect(sequencesOf(again)).toEqual(sequencesOf(once).toReversed());
  });

  test.each([0, 501])('a batch of %i items is refused as a whole', async (count) => {
    const workspaceId = await newWorkspace();
    const requests = range(1, count).map(() => item({ workspaceId }));
    expect(await refusalOf(client().batchCreateEvents({ requests }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['requests'],
    });
    expect(await storedSequences(workspaceId)).toEqual([]);
  });

  test('a batch of 500 items is numbered in their order, with and without keys', async () => {
    const workspaceId = await newWorkspace();
    const requests = range(1, 500).map((n) =>
      // Keys whose byte order is not that of the items.
      item({ workspaceId, ...(n % 3 !== 0 && { idempotencyKey: `${(n * 7919) % 1000} ${wire}` }) }),
    );
    const answer = await client().batchCreateEvents({ requests });
    expect(sequencesOf(answer)).toEqual(range(1, 500));
  });

  test('a request of just below 8 MiB is taken, one above is refused and stores nothing', async () => {
    const isJson = wire.startsWith('connect json');
    const bytesOf = (request: BatchCreateEventsRequest) =>
      isJson
        ? Buffer.byteLength(toJsonString(BatchCreateEventsRequestSchema, request))
        : toBinary(BatchCreateEventsRequestSchema, request).length;
    const ofBytes = (workspaceId: string, bytes: number) => {
      const full = range(1, 32).map(() =>
        item({ workspaceId, payload: { text: 'x'.repeat(255_000) } }),
      );
      const withLast = (length: number) =>
        create(BatchCreateEventsRequestSchema, {
          requests: [...full, item({ workspaceId, payload: { text: 'x'.repeat(length) } })],
        });
      return withLast(200_000 + bytes - bytesOf(withLast(200_000)));
    };
    const [below, above] = [await newWorkspace(), await newWorkspace()];
    const taken = ofBytes(below, batchBytesMax - 64);
    expect(bytesOf(taken)).toBeGreaterThan(batchBytesMax - 100);
    const answer = await client().batchCreateEvents(taken);
    expect(sequencesOf(answer)).toEqual(range(1, 33));
    const refused = client().batchCreateEvents(ofBytes(above, batchBytesMax + 64));
    expect(await refusalOf(refused)).toMatchObject({
      code: 'ResourceExhausted',
      reason: 'REQUEST_TOO_LARGE',
      metadata: { request_bytes_max: `${batchBytesMax}` },
    });
    expect(await storedSequences(above)).toEqual([]);
  });
});

test('a batch of full subjects and metadata obeys the 8 MiB, and is answered whole', async () => {
  const withItems = (workspaceId: string, count: number) =>
    create(BatchCreateEventsRequestSchema, {
      requests: range(1, count).map(() => item({ workspaceId, ...fullFacts })),
    });
  const bytesOf = (count: number) =>
    toBinary(BatchCreateEventsRequestSchema, withItems('ws_batch999', count)).length;
  const fitting = Math.floor(batchBytesMax / bytesOf(1));
  expect(fitting).toBeGreaterThan(200);
  const [below, above] = [await newWorkspace(), await newWorkspace()];
  const answer = await createLogClient(service, 'connect binary').batchCreateEvents(
    withItems(below, fitting),
  );
  expect(sequencesOf(answer)).toEqual(range(1, fitting));
  expect(createdOf(answer, fitting - 1)?.event).toMatchObject(fullFacts);
  const refused = createLogClient(service, 'connect binary').batchCreateEvents(
    withItems(above, fitting + 1),
  );
  expect(await refusalOf(refused)).toMatchObject({ reason: 'REQUEST_TOO_LARGE' });
  expect(await storedSequences(above)).toEqual([]);
});

test('500 items with as much metadata as fits are stored and answered', async () => {
  const workspaceId = await newWorkspace();
  const metadata = Object.fromEntries(range(1, 16).map((n) => [`n${n}`, '😀'.repeat(240)]));
  const requests = range(1, 500).map((n) => item({ workspaceId, subject: `s${n}`, metadata }));
  const answer = await createLogClient(service).batchCreateEvents({ requests });
  expect(sequencesOf(answer)).toEqual(range(1, 500));
  expect(createdOf(answer, 499)?.event).toMatchObject({ subject: 's500', metadata });
});

test('batches and single creates at once number one workspace without a gap', async () => {
  const workspaceId = await newWorkspace();
  const calls = range(1, 60).map(async (turn) => {
    const client = createLogClient(service, wires[turn % wires.length]);
    if (turn % 2 === 0) {
      const { event } = await client.createEvent(item({ workspaceId }));
      return [Number(event?.sequence)];
    }
    const requests = range(1, turn).map((n) =>
      item({ workspaceId, ...(n % 2 === 0 && { idempotencyKey: freshKey() }) }),
    );
    return sequencesOf(await client.batchCreateEvents({ requests }));
  });
  const answers = await Promise.all(calls);
  const inOrder = answers.filter(
    (one) => one.join() === one.toSorted((a, b) => Number(a) - Number(b)).join(),
  );
  expect(inOrder).toHaveLength(answers.length);
  const numbers = answers.flat().toSorted((a, b) => Number(a) - Number(b));
  expect(numbers).toEqual(range(1, numbers.length));
  expect(await storedSequences(workspaceId)).toEqual(numbers);
});

test('a batch over several workspaces numbers each of them in the order of its items', async () => {
  const ids = await Promise.all(range(1, 3).map(newWorkspace));
  const requests = range(0, 89).map((n) => item({ workspaceId: ids[n % 3] as string }));
  const answer = await createLogClient(service).batchCreateEvents({ requests });
  expect(sequencesOf(answer)).toEqual(range(0, 89).map((n) => Math.floor(n / 3) + 1));
});

test('a workspace that is seen for the first time numbers a batch in the order of its items', async () => {
  const other = await startTestService({}, service.database);
  const workspaceId = await newWorkspace();
  const requests = range(1, 200).map(() => item({ workspaceId }));
  const answer = await createLogClient(other).batchCreateEvents({ requests });
  expect(sequencesOf(answer)).toEqual(range(1, 200));
  await other.stop();
});

test('a batch that was stored is answered, however much longer its numbers are than they were sent', async () => {
  const workspaceId = await newWorkspace();
  // "1e20," comes back as "100000000000000000000,": 4.4 times as long.
  const one = JSON.stringify({ workspaceId, type: 'grows', payload: { list: 'LIST' } }).replace(
    '"LIST"',
    `[${Array(11_800).fill('1e20').join()}]`,
  );
  const body = `{"requests":[${Array(100).fill(one).join()}]}`;
  expect(body.length).toBeLessThan(batchBytesMax);
  const answer = await connectPost(service, batchPath, body);
  expect(await storedSequences(workspaceId)).toEqual(range(1, 100));
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text).results).toHaveLength(100);
});

test('a caller without events:write is refused as a whole', async () => {
  const secretKey = await service.issueKey({ scopes: ['events:read'] });
  const call = createLogClient({ ...service, secretKey }).batchCreateEvents({ requests: [item()] });
  expect(await refusalOf(call)).toMatchObject({ reason: 'SCOPE_MISSING' });
});
