import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventsClient, wires } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { type HttpAnswer, problemOf, sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let writeOnly: string;
let readOnly: string;
let oneWorkspace: string;
let invoicesOnly: string;
/** An event of `ws_test`, of type `order.placed`: none of the narrow keys may read it. */
let hiddenId: string;

beforeAll(async () => {
  service = await startTestService();
  await service.app.workspaces.create('ws_other', '');
  const both = ['events:read', 'events:write'];
  writeOnly = await service.issueKey({ scopes: ['events:write'] });
  readOnly = await service.issueKey({ scopes: ['events:read'] });
  oneWorkspace = await service.issueKey({ scopes: both, workspaceIds: ['ws_other'] });
  invoicesOnly = await service.issueKey({ scopes: both, typePatterns: ['invoice.*', 'refund'] });
  const { event } = await as(service.secretKey).createEvent({
    workspaceId: service.workspaceId,
    type: 'order.placed',
    payload: { secret: true },
  });
  hiddenId = event?.id ?? '';
});
afterAll(() => service.stop());

const as = (secretKey: string, wire: (typeof wires)[number] = 'grpc') =>
  createEventsClient({ ...service, secretKey }, wire);
const newEvent = (workspaceId: string, type: string) => ({ workspaceId, type, payload: {} });

describe.each(wires)('over %s', (wire) => {
  test('a key without events:write cannot create, and is told the scope', async () => {
    const call = as(readOnly, wire).createEvent(newEvent('ws_test', 'invoice.paid'));
    expect(await refusalOf(call)).toMatchObject({
      code: 'PermissionDenied',
      reason: 'SCOPE_MISSING',
      message: expect.stringContaining('events:write'),
      metadata: { scope: 'events:write' },
    });
  });

  test('a key without events:read cannot retrieve, and is told the scope', async () => {
    expect(await refusalOf(as(writeOnly, wire).retrieveEvent({ id: hiddenId }))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'SCOPE_MISSING',
      metadata: { scope: 'events:read' },
    });
  });

  test('a key of other workspaces cannot create here, and is told the workspace', async () => {
    const call = as(oneWorkspace, wire).createEvent(newEvent('ws_test', 'invoice.paid'));
    expect(await refusalOf(call)).toMatchObject({
      code: 'PermissionDenied',
      reason: 'WORKSPACE_NOT_ALLOWED',
      metadata: { workspace_id: 'ws_test' },
    });
  });

  test('a key of other types cannot create this one, and is told the type', async () => {
    const call = as(invoicesOnly, wire).createEvent(newEvent('ws_test', 'order.placed'));
    expect(await refusalOf(call)).toMatchObject({
      code: 'PermissionDenied',
      reason: 'EVENT_TYPE_NOT_ALLOWED',
      metadata: { type: 'order.placed' },
    });
  });

  test('a create in a workspace that does not exist is told so', async () => {
    const call = as(service.secretKey, wire).createEvent(newEvent('ws_nowhere', 'x'));
    expect(await refusalOf(call)).toMatchObject({
      code: 'NotFound',
      reason: 'WORKSPACE_NOT_FOUND',
      metadata: { workspace_id: 'ws_nowhere' },
    });
  });

  test.each(['evt_01hzy9q7x8f4', 'evt_01hzy9q7x8f4kq3d2m5n6p7r8s', `evt_${'z'.repeat(26)}`])(
    'the unknown event %s is not found',
    async (id) => {
      expect(await refusalOf(as(service.secretKey, wire).retrieveEvent({ id }))).toMatchObject({
        code: 'NotFound',
        reason: 'EVENT_NOT_FOUND',
        metadata: { event_id: id },
      });
    },
  );

  test.each([
    '',
    'evt_',
    'evt',
    '01hzy9q7x8f4kq3d2m5n6p7r8s',
    'EVT_01HZY9Q7X8F4',
    'key_01hzy9q7x8f4kq3d2m5n6p7r8s',
    'evt_01hzy9q7x8f4kq3d2m5n6p7r8s0',
    'evt_01hzy9q7-8f4',
    'evt_01hzy9q7x8f4\n',
    'evt_\0',
  ])('the id %j is refused, and the form is told', async (id) => {
    expect(await refusalOf(as(service.secretKey, wire).retrieveEvent({ id }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['id'],
      message: expect.stringContaining('evt_'),
    });
  });
});

test('a workspace that a key may not use looks the same whether it exists or not', async () => {
  const call = (id: string) => as(oneWorkspace).createEvent(newEvent(id, 'x'));
  const [existing, missing] = [await refusalOf(call('ws_test')), await refusalOf(call('ws_none'))];
  expect(existing.reason).toBe('WORKSPACE_NOT_ALLOWED');
  expect(JSON.stringify(missing)).toBe(JSON.stringify(existing).replaceAll('ws_test', 'ws_none'));
});

describe('an event that the key may not read', () => {
  const missingId = 'evt_01hzy9q7x8f4kq3d2m5n6p7r8s';
  const retrieve = (secretKey: string, id: string) =>
    sendRequest(service, `/v1/events/${id}`, {
      headers: { authorization: `Bearer ${secretKey}`, 'x-request-id': 'the-same' },
    });
  const comparable = ({ status, headers: { date, ...headers }, text }: HttpAnswer, id: string) =>
    JSON.stringify({ status, headers, text }).replaceAll(id, 'THE_ID');

  test.each([
    ['workspace', () => oneWorkspace],
    ['type', () => invoicesOnly],
  ])('because of its %s looks byte for byte like one that is missing', async (_why, key) => {
    const hidden = await retrieve(key(), hiddenId);
    expect(problemOf(hidden)).toMatchObject({ status: 404, reason: 'EVENT_NOT_FOUND' });
    const missing = await retrieve(key(), missingId);
    expect(comparable(hidden, hiddenId)).toBe(comparable(missing, missingId));
  });

  test('is missing over every wire, in the same words', async () => {
    for (const wire of wires) {
      const hidden = await refusalOf(as(oneWorkspace, wire).retrieveEvent({ id: hiddenId }));
      const missing = await refusalOf(as(oneWorkspace, wire).retrieveEvent({ id: missingId }));
      const text = JSON.stringify(hidden).replaceAll(hiddenId, missingId);
      expect(text).toBe(JSON.stringify(missing));
    }
  });
});

describe('a key for some types', () => {
  test.each(['invoice.paid', 'invoice.', 'refund'])('creates and reads %s', async (type) => {
    const events = as(invoicesOnly);
    const { event } = await events.createEvent(newEvent('ws_other', type));
    expect((await events.retrieveEvent({ id: event?.id ?? '' })).event?.type).toBe(type);
  });

  test.each(['invoice', 'Invoice.paid', 'refunds', 'a invoice.paid'])(
    'is refused %s',
    async (type) => {
      const refusal = await refusalOf(as(invoicesOnly).createEvent(newEvent('ws_other', type)));
      expect(refusal.reason).toBe('EVENT_TYPE_NOT_ALLOWED');
    },
  );
});

describe('a key for some types that reuses the idempotency key', () => {
  const held = async (type: string) => {
    const idempotencyKey = `held by ${type}`;
    const create = { ...newEvent('ws_other', type), idempotencyKey };
    const { event } = await as(service.secretKey).createEvent(create);
    return { idempotencyKey, eventId: event?.id ?? '' };
  };
  const reuse = (idempotencyKey: string) => ({
    ...newEvent('ws_other', 'invoice.reused'),
    idempotencyKey,
  });
  const reused = { code: 'AlreadyExists', reason: 'IDEMPOTENCY_KEY_REUSED' };

  test.each(wires)(
    'of a type that it may not use learns over %s only that it is taken',
    async (wire) => {
      const { idempotencyKey, eventId } = await held('order.placed');
      const refusal = await refusalOf(as(invoicesOnly, wire).createEvent(reuse(idempotencyKey)));
      expect(refusal).toMatchObject({ ...reused, metadata: {}, fields: [] });
      expect(refusal.message).not.toContain(eventId);
    },
  );

  test('of a type that it may not use learns no more by REST, or as an item of a batch', async () => {
    const { idempotencyKey, eventId } = await held('order.placed');
    const { results } = await as(invoicesOnly).batchCreateEvents({
      requests: [reuse(idempotencyKey), reuse('of nobody')],
    });
    expect(results.map(({ result }) => result.case)).toEqual(['error', 'created']);
    expect(results[0]?.result.value).toMatchObject({ reason: reused.reason, metadata: {} });
    const answer = await sendRequest(service, '/v1/events', {
      headers: { authorization: `Bearer ${invoicesOnly}`, 'idempotency-key': idempotencyKey },
      body: { workspace_id: 'ws_other', type: 'invoice.reused', payload: {} },
    });
    expect(problemOf(answer)).toMatchObject({ status: 422, reason: reused.reason });
    const told = JSON.stringify([answer.headers, answer.text, results[0]?.result.value]);
    expect(told).not.toContain(eventId);
    expect(told).not.toContain('expires_at');
  });

  test('of one of its own types is told the event and the time', async () => {
    const { idempotencyKey, eventId } = await held('invoice.paid');
    const refusal = await refusalOf(as(invoicesOnly).createEvent(reuse(idempotencyKey)));
    const expires_at = expect.stringMatching(/^20.*Z$/);
    expect(refusal).toMatchObject({ ...reused, metadata: { event_id: eventId, expires_at } });
  });

  test('with the content of the event is refused for its type, before anything is looked up', async () => {
    const { idempotencyKey } = await held('order.placed');
    const call = as(invoicesOnly).createEvent({
      ...newEvent('ws_other', 'order.placed'),
      idempotencyKey,
    });
    expect((await refusalOf(call)).reason).toBe('EVENT_TYPE_NOT_ALLOWED');
  });
});
