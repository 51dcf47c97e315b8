import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventPath, retrieveEventPath } from './support/connect-post.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let eventId: string;
beforeAll(async () => {
  service = await startTestService();
  const created = await sendRequest(service, '/v1/events', {
    body: { workspace_id: service.workspaceId, type: 'routed', payload: { n: 1 } },
  });
  eventId = JSON.parse(created.text).id;
});
afterAll(() => service.stop());

test('a create by REST answers 201 with the event as the page shows it', async () => {
  const body = { workspace_id: service.workspaceId, type: 'invoice.paid', payload: { n: 1 } };
  const answer = await sendRequest(service, '/v1/events', { body });
  expect(answer).toMatchObject({
    status: 201,
    headers: {
      'content-type': 'application/json',
      location: expect.stringMatching(/^\/v1\/events\/evt_/),
    },
  });
  const event = JSON.parse(answer.text);
  expect(event).toEqual({
    ...body,
    api_key_id: expect.stringMatching(/^key_[0-9a-z]{26}$/),
    id: expect.stringMatching(/^evt_[0-9a-z]{26}$/),
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/),
    sequence: expect.any(Number),
  });
  const found = await sendRequest(service, answer.headers.location ?? '');
  expect(found.status).toBe(200);
  expect(JSON.parse(found.text)).toEqual(event);
});

test('a replay by REST is 201 too, with Idempotent-Replayed', async () => {
  const request = {
    headers: { 'idempotency-key': 'routes' },
    body: { workspace_id: service.workspaceId, type: 'routed', payload: {} },
  };
  const first = await sendRequest(service, '/v1/events', request);
  const second = await sendRequest(service, '/v1/events', request);
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(first.headers).not.toHaveProperty('idempotent-replayed');
  expect(second.headers['idempotent-replayed']).toBe('true');
  expect(second.text).toBe(first.text);
});

test('a key that is used for another event is 422 by REST, and names the event', async () => {
  const post = (payload: object) =>
    sendRequest(service, '/v1/events', {
      headers: { 'idempotency-key': 'reused by REST' },
      body: { workspace_id: service.workspaceId, type: 'routed', payload },
    });
  const first = JSON.parse((await post({ n: 1 })).text);
  expect(problemOf(await post({ n: 2 }))).toMatchObject({
    status: 422,
    code: 'already_exists',
    reason: 'IDEMPOTENCY_KEY_REUSED',
    metadata: { event_id: first.id, expires_at: expect.any(String) },
  });
});

describe('a path that is not there', () => {
  test.each([
    '/',
    '/v1',
    '/v1/event',
    '/v1/events/',
    '/v1/events/a/b',
    '/v2/events',
    '//v1/events',
    '/harbor.events.v1.EventsService',
    '/harbor.events.v1.EventsService/DeleteEvent',
    '/__proto__',
    '/%00',
    `/${'x'.repeat(8_000)}`,
  ])('%s is 404', async (path) => {
    const body = path.startsWith('/harbor') ? {} : undefined;
    expect(problemOf(await sendRequest(service, path, body && { body }))).toMatchObject({
      status: 404,
      code: 'not_found',
      reason: 'METHOD_NOT_FOUND',
    });
  });
});

describe('a method that a path does not have', () => {
  test.each([
    ['PUT', '/v1/events', 'POST'],
    ['DELETE', '/v1/events', 'POST'],
    ['PATCH', '/v1/events/evt_01hzy9q7x8f4', 'GET'],
    ['DELETE', '/v1/events/evt_01hzy9q7x8f4', 'GET'],
    ['POST', '/healthz', 'HEAD'],
    ['POST', '/openapi.json', 'GET'],
    ['GET', createEventPath, 'POST'],
    ['PUT', createEventPath, 'POST'],
    ['DELETE', retrieveEventPath, 'POST'],
  ])('%s %s is 405, and says which there are', async (method, path, allowed) => {
    const answer = await sendRequest(service, path, { method });
    expect(problemOf(answer)).toMatchObject({ status: 405, code: 'unimplemented' });
    expect(answer.headers.allow?.split(', ')).toContain(allowed);
  });
});

describe('a content type that is not spoken', () => {
  test.each(['text/plain', 'application/xml', 'application/x-www-form-urlencoded', ''])(
    'REST answers 415 to %j',
    async (type) => {
      const headers = { 'content-type': type };
      const answer = await sendRequest(service, '/v1/events', { headers, body: '{}' });
      expect(problemOf(answer)).toMatchObject({ status: 415 });
    },
  );

  test('REST names the fields that a request without a body lacks', async () => {
    const answer = await sendRequest(service, '/v1/events', { method: 'POST' });
    const [workspaceId, type, payload] = ['workspace_id', 'type', 'payload'];
    expect(problemOf(answer)).toMatchObject({
      status: 400,
      violations: [{ field: workspaceId }, { field: type }, { field: payload }],
    });
  });

  test('REST reads no body that was not announced, and comes without a content type', async () => {
    const headers = { 'transfer-encoding': 'chunked' };
    const answer = await sendRequest(service, '/v1/events', { headers, body: '{}' });
    expect(problemOf(answer)).toMatchObject({
      status: 400,
      violations: [{ field: 'content-type' }],
    });
  });

  test.each(['text/plain', 'application/xml', 'application/grpc+thrift'])(
    'an RPC answers 415 to %j',
    async (type) => {
      const headers = { 'content-type': type };
      const answer = await sendRequest(service, createEventPath, { headers, body: '{}' });
      expect(problemOf(answer)).toMatchObject({
        status: 415,
        detail: expect.stringMatching(/application\/json, application\/proto, application\/grpc/),
      });
    },
  );

  test('a stream that is asked for as if it were a unary call is told what to send', async () => {
    const headers = { 'content-type': 'application/json' };
    const path = createEventPath.replace('CreateEvent', 'SubscribeEvents');
    const answer = await sendRequest(service, path, { headers, body: '{}' });
    expect(problemOf(answer)).toMatchObject({
      status: 415,
      detail: expect.stringMatching(/application\/connect\+json/),
    });
  });

  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'APPLICATION/JSON;charset=UTF-8',
  ])('REST takes %j', async (type) => {
    const body = JSON.stringify({ workspace_id: service.workspaceId, type: 'x', payload: {} });
    const headers = { 'content-type': type };
    expect((await sendRequest(service, '/v1/events', { headers, body })).status).toBe(201);
  });
});

describe('an id in a path', () => {
  test.each(['/v1/events/nope', '/v1/events/%00', '/v1/events/evt_%2F'])(
    '%s is refused, and the form is told',
    async (path) => {
      expect(problemOf(await sendRequest(service, path))).toMatchObject({
        status: 400,
        reason: 'INVALID_REQUEST',
        violations: [{ field: 'id', description: expect.stringContaining('evt_') }],
      });
    },
  );

  test('may be percent-encoded', async () => {
    const answer = await sendRequest(service, `/v1/events/${eventId.replace('_', '%5F')}`);
    expect(answer.status).toBe(200);
  });

  test('takes no parameter that it does not know', async () => {
    expect(problemOf(await sendRequest(service, `/v1/events/${eventId}?x=1`))).toMatchObject({
      status: 400,
      violations: [{ field: 'x', description: 'is not a parameter; there are workspace_id' }],
    });
  });

  test('may go with the workspace; an event of another one is not found', async () => {
    const at = (query: string) => sendRequest(service, `/v1/events/${eventId}?${query}`);
    expect((await at(`workspace_id=${service.workspaceId}`)).status).toBe(200);
    const missing = problemOf(await at('workspace_id=ws_other'));
    expect(missing).toMatchObject({ status: 404, reason: 'EVENT_NOT_FOUND' });
    const unset = problemOf(await at('workspace_id='));
    expect(unset).toMatchObject({ status: 400, violations: [{ field: 'workspace_id' }] });
  });
});

test('RetrieveEvent has no side effects, so that Connect calls it by GET too', async () => {
  const message = encodeURIComponent(JSON.stringify({ id: eventId }));
  const path = `${retrieveEventPath}?connect=v1&encoding=json&message=${message}`;
  const answer = await sendRequest(service, path);
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text).event.payload).toEqual({ n: 1 });
});

test('GET /healthz says SERVING without a key', async () => {
  const answer = await sendRequest(service, '/healthz', { headers: { authorization: '' } });
  expect(answer).toMatchObject({ status: 200, text: '{"status":"SERVING"}' });
});

test('GET /openapi.json describes the paths that there are', async () => {
  const answer = await sendRequest(service, '/openapi.json', { headers: { authorization: '' } });
  expect(Object.keys(JSON.parse(answer.text).paths)).toEqual(
    expect.arrayContaining(['/v1/events', '/v1/events/{id}']),
  );
});
