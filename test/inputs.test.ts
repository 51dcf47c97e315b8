import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventsClient, wires } from './support/clients.ts';
import { connectPost, createEventPath, refusalIn } from './support/connect-post.ts';
import { refusalOf } from './support/errors.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { payloadOfBytes, payloadOfLevels } from './support/payloads.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const binary = wires.filter((wire) => !wire.includes('json'));
const json = wires.filter((wire) => wire.includes('json'));

interface BadPayload {
  readonly what: string;
  readonly payload: JsonObject;
  readonly field: string;
  readonly reason?: string;
}

const badPayloads: readonly BadPayload[] = [
  {
    what: 'of 262,145 bytes',
    payload: payloadOfBytes(262_145),
    field: 'payload',
    reason: 'PAYLOAD_TOO_LARGE',
  },
  { what: '33 levels deep', payload: payloadOfLevels(33), field: 'payload' },
  { what: 'with U+0000 in a text', payload: { a: [{ b: 'x\0' }] }, field: 'payload.a[0].b' },
  { what: 'with U+0000 in a member name', payload: { a: { 'x\0': 1 } }, field: 'payload.a' },
];
/** Binary clients write U+FFFD for it; JSON carries it as an escape. */
const loneSurrogates: readonly BadPayload[] = [
  { what: 'with a lone surrogate in a text', payload: { a: '\ud800' }, field: 'payload.a' },
  { what: 'with half a pair in a text', payload: { a: ['x', 'y\udc00'] }, field: 'payload.a[1]' },
  { what: 'with a lone surrogate in a member name', payload: { '\udfff': 1 }, field: 'payload' },
];
const badTypes = {
  empty: '',
  'of 256 characters': 'x'.repeat(256),
  'of 256 characters beyond the BMP': '😀'.repeat(256),
  'with a newline': 'invoice\npaid',
  'with a tab': 'invoice\tpaid',
  'with U+0000': 'invoice\0',
  'with U+007F': 'invoice\u007f',
  'with U+0085': 'invoice\u0085',
  'with a star at its end': 'invoice.*',
  'of a star': '*',
  'with a comma': 'invoice,paid',
  'with a blank before it': ' invoice.paid',
  'with a blank behind it': 'invoice.paid ',
  'with a no-break space behind it': 'invoice.paid\u00a0',
  'of a blank': ' ',
  "that is the service's own": 'harbor.event.erased',
  "that is none of the service's own yet": 'harbor.',
};
const badKeys = {
  'of 256 characters': 'k'.repeat(256),
  'that is not ASCII': 'clé',
  'with a newline': 'a\nb',
  'with a tab': 'a\tb',
  'with U+007F': 'a\u007f',
  "of the service's own": '\u0001erased',
};
const badWorkspaces = ['', 'ws_', 'ws_A', 'test', `ws_${'a'.repeat(65)}`, 'ws_test\n', 'ws_ü'];

const create = (wire: (typeof wires)[number], fields: object) =>
  createEventsClient(service, wire).createEvent({
    workspaceId: service.workspaceId,
    type: 'input',
    payload: {},
    ...fields,
  });

const stored = async () =>
  (await service.database.query<{ count: number }>('select count(*)::int from events'))[0]?.count;

describe.each(wires)('over %s', (wire) => {
  test('refuses a create without a payload', async () => {
    expect(await refusalOf(create(wire, { payload: undefined }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'PAYLOAD_INVALID',
      fields: ['payload'],
    });
  });

  test.each(badPayloads)('refuses a payload $what', async ({ payload, field, reason }) => {
    expect(await refusalOf(create(wire, { payload }))).toMatchObject({
      code: 'InvalidArgument',
      reason: reason ?? 'PAYLOAD_INVALID',
      fields: [field],
    });
  });

  test.each(Object.entries(badTypes))('refuses a type %s', async (_what, type) => {
    expect(await refusalOf(create(wire, { type }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['type'],
    });
  });

  test.each(Object.entries(badKeys))('refuses an idempotency key %s', async (_what, key) => {
    expect(await refusalOf(create(wire, { idempotencyKey: key }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['idempotency_key'],
    });
  });

  test.each(badWorkspaces)('refuses the workspace id %j', async (workspaceId) => {
    expect(await refusalOf(create(wire, { workspaceId }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['workspace_id'],
    });
  });

  test('names every field that is wrong at once', async () => {
    const refusal = await refusalOf(
      create(wire, { type: '', workspaceId: 'x', idempotencyKey: 'é' }),
    );
    expect(refusal.fields.toSorted()).toEqual(['idempotency_key', 'type', 'workspace_id']);
  });

  test('tells of a payload that is missing, and of other fields, by the reason of both', async () => {
    const client = createEventsClient(service, wire);
    expect(await refusalOf(client.createEvent({}))).toMatchObject({
      reason: 'INVALID_REQUEST',
      fields: ['workspace_id', 'type', 'payload'],
    });
  });

  test('accepts a corrected create with the key of the one that was refused', async () => {
    const idempotencyKey = `corrected ${wire}`;
    const refusal = await refusalOf(create(wire, { idempotencyKey, payload: { a: '\0' } }));
    expect(refusal.reason).toBe('PAYLOAD_INVALID');
    const { replayed, event } = await create(wire, { idempotencyKey, payload: { a: '0' } });
    expect(replayed).toBe(false);
    expect(event?.payload).toEqual({ a: '0' });
  });

  test('stores nothing of a create that it refuses', async () => {
    const before = await stored();
    await refusalOf(create(wire, { payload: payloadOfLevels(33), idempotencyKey: 'nothing' }));
    expect(await stored()).toBe(before);
  });
});

describe.each(json)('over %s', (wire) => {
  test.each(loneSurrogates)('refuses a payload $what', async ({ payload, field }) => {
    expect(await refusalOf(create(wire, { payload }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'PAYLOAD_INVALID',
      fields: [field],
    });
  });
});

describe.each(binary)('over %s', (wire) => {
  test('tells the size of a payload that is too large, and the limit', async () => {
    const refusal = await refusalOf(create(wire, { payload: payloadOfBytes(262_146) }));
    expect(refusal.metadata).toEqual({ payload_bytes: '262146', payload_bytes_max: '262144' });
  });
});

describe('over REST', () => {
  const post = (fields: object, headers: Record<string, string> = {}) =>
    sendRequest(service, '/v1/events', {
      headers,
      body: { workspace_id: service.workspaceId, type: 'input', payload: {}, ...fields },
    });

  test.each([undefined, null, [], [{}], 'text', 5, true])(
    'refuses the payload %j',
    async (payload) => {
      expect(problemOf(await post({ payload }))).toMatchObject({
        status: 400,
        code: 'invalid_argument',
        reason: 'PAYLOAD_INVALID',
        violations: [{ field: 'payload' }],
      });
    },
  );

  test.each([...badPayloads, ...loneSurrogates])(
    'refuses a payload $what',
    async ({ payload, field, reason }) => {
      expect(problemOf(await post({ payload }))).toMatchObject({
        status: reason === 'PAYLOAD_TOO_LARGE' ? 413 : 400,
        code: 'invalid_argument',
        reason: reason ?? 'PAYLOAD_INVALID',
        violations: [{ field }],
      });
    },
  );

  test.each(Object.entries({ ...badTypes, missing: undefined }))(
    'refuses a type %s',
    async (_what, type) => {
      expect(problemOf(await post({ type }))).toMatchObject({
        status: 400,
        reason: 'INVALID_REQUEST',
        violations: [{ field: 'type' }],
      });
    },
  );

  test.each(Object.entries(badKeys))('refuses an idempotency key %s', async (_what, key) => {
    expect(problemOf(await post({ idempotency_key: key }))).toMatchObject({
      status: 400,
      reason: 'INVALID_REQUEST',
      violations: [{ field: 'idempotency_key' }],
    });
  });

  test.each(['', 'k'.repeat(256), 'clé'])('refuses the header Idempotency-Key: %s', async (key) => {
    expect(problemOf(await post({}, { 'idempotency-key': key }))).toMatchObject({
      status: 400,
      reason: 'INVALID_REQUEST',
      violations: [{ field: 'idempotency_key' }],
    });
  });

  test('refuses a header Idempotency-Key that differs from the field', async () => {
    const answer = await post({ idempotency_key: 'one' }, { 'idempotency-key': 'other' });
    expect(problemOf(answer)).toMatchObject({
      status: 400,
      violations: [{ field: 'idempotency_key' }],
    });
  });

  test('accepts a corrected create with the key of the one that was refused', async () => {
    const headers = { 'idempotency-key': 'corrected by REST' };
    expect((await post({ type: '' }, headers)).status).toBe(400);
    const corrected = await post({}, headers);
    expect(corrected.status).toBe(201);
    expect(corrected.headers).not.toHaveProperty('idempotent-replayed');
  });

  test('refuses a member that the contract does not know', async () => {
    expect(problemOf(await post({ workspaceID: 'x' }))).toMatchObject({
      status: 400,
      reason: 'INVALID_REQUEST',
    });
  });
});

test.each(['[]', '"text"', '5', 'true', 'null'])(
  'Connect with JSON refuses the payload %s',
  async (payload) => {
    const body = `{"workspaceId":"${service.workspaceId}","type":"input","payload":${payload}}`;
    expect(await refusalIn(await connectPost(service, createEventPath, body))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'PAYLOAD_INVALID',
      fields: ['payload'],
    });
  },
);

const badTimes = ['2026-02-30T00:00:00Z', '2026-04-31T12:00:00Z', '2026-01-01T24:00:00Z', 'soon'];
const timeFields = {
  createdAfter: ['EventsService/ListEvents', 'created_after'],
  created_before: ['EventsService/ListEvents', 'created_before'],
  expiresAt: ['ApiKeysService/CreateApiKey', 'expires_at'],
} as const;

describe.each(Object.entries(timeFields))('the time %s in JSON', (name, [method, field]) => {
  const path = method.startsWith('Api')
    ? `/harbor.api_keys.v1.${method}`
    : `/harbor.events.v1.${method}`;

  test.each(badTimes)('is refused as %s, which is none', async (time) => {
    const body = JSON.stringify({ workspaceId: service.workspaceId, kind: 1, [name]: time });
    expect(await refusalIn(await connectPost(service, path, body))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: [field],
    });
  });
});

test.each(json)('a payload may hold a time that is none over %s', async (wire) => {
  const payload = { expiresAt: '2026-02-30T00:00:00Z', created_after: 'soon' };
  expect((await create(wire, { payload })).event?.payload).toEqual(payload);
});

test('a payload may hold a time that is none also where its name is written with escapes', async () => {
  const body = JSON.stringify({
    workspaceId: service.workspaceId,
    type: 'escaped',
    payload: { expires_at: 'soon' },
  }).replace('payload', 'p\\u0061yload');
  const answer = await connectPost(service, createEventPath, body);
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text).event.payload).toEqual({ expires_at: 'soon' });
});
