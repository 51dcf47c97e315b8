import { once } from 'node:events';
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventsClient, wires } from './support/clients.ts';
import { createEventPath } from './support/connect-post.ts';
import { type HttpRequest, sendRequest } from './support/http-request.ts';
import { exchangeRaw } from './support/raw-socket.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ corsOrigins: ['*'] });
});
afterAll(() => service.stop());

const made = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const event = () => ({ workspace_id: service.workspaceId, type: 'traced', payload: {} });

/** Every kind of answer that the service gives over HTTP/1.1. */
const kinds: Record<string, [path: string, request: () => HttpRequest, status: number]> = {
  'a created event': ['/v1/events', () => ({ body: event() }), 201],
  'a refused field': ['/v1/events', () => ({ body: { ...event(), type: '' } }), 400],
  'a missing key': ['/v1/events', () => ({ body: event(), headers: { authorization: '' } }), 401],
  'a missing event': ['/v1/events/evt_01hzy9q7x8f4', () => ({}), 404],
  'an unknown path': ['/nowhere', () => ({}), 404],
  'a wrong method': ['/v1/events', () => ({ method: 'DELETE' }), 405],
  'a wrong content type': [
    '/v1/events',
    () => ({ body: 'x', headers: { 'content-type': 'text/plain' } }),
    415,
  ],
  'a content type that no RPC speaks': [
    createEventPath,
    () => ({ body: 'x', headers: { 'content-type': 'text/plain' } }),
    415,
  ],
  'a bad Host': ['/healthz', () => ({ headers: { host: 'a b' } }), 400],
  'an expectation that nobody knows': [
    '/v1/events',
    () => ({ body: event(), headers: { expect: 'the-unexpected' } }),
    201,
  ],
  'the health check': ['/healthz', () => ({}), 200],
  'the description': ['/openapi.json', () => ({}), 200],
  'a preflight': [
    '/v1/events',
    () => ({
      method: 'OPTIONS',
      headers: { origin: 'https://a.example', 'access-control-request-method': 'POST' },
    }),
    204,
  ],
  'an error of Connect': [createEventPath, () => ({ body: {} }), 400],
};

describe.each(Object.entries(kinds))('the answer %s', (_kind, [path, request, status]) => {
  const send = (id?: string) => {
    const { headers, ...rest } = request();
    const traced = id === undefined ? headers : { ...headers, 'x-request-id': id };
    return sendRequest(service, path, { ...rest, ...(traced && { headers: traced }) });
  };

  test('carries the request id that was sent', async () => {
    const answer = await send('trace-1.2:a/b+c=d@e');
    expect(answer.status).toBe(status);
    expect(answer.headers['x-request-id']).toBe('trace-1.2:a/b+c=d@e');
  });

  test('carries one that was made when none was sent', async () => {
    expect((await send()).headers['x-request-id']).toMatch(made);
  });
});

test.each(['', 'a b', 'x'.repeat(129), 'a,b', '"quoted"', '<script>', 'naïve', 'a\tb'])(
  'the request id %j is replaced',
  async (id) => {
    const answer = await sendRequest(service, '/healthz', { headers: { 'x-request-id': id } });
    expect(answer.headers['x-request-id']).toMatch(made);
  },
);

test('two request ids are replaced by one', async () => {
  const answer = await exchangeRaw(
    service,
    'GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Request-Id: a\r\nX-Request-Id: b\r\n\r\n',
  );
  const ids = [...answer.matchAll(/^x-request-id: (.*)\r$/gim)].map((match) => match[1]);
  expect(ids).toEqual([expect.stringMatching(made)]);
});

test('even bytes that are no HTTP are answered with a request id', async () => {
  expect(await exchangeRaw(service, 'garbage\r\n\r\n')).toMatch(
    /^HTTP\/1\.1 400 [\s\S]*\r\nx-request-id: /i,
  );
});

test.each(wires)('answers over %s carry it, whether the call succeeds or not', async (wire) => {
  const events = createEventsClient(service, wire);
  const ids: (string | null)[] = [];
  const options = {
    headers: { 'x-request-id': `by ${wire}`.replaceAll(' ', '-') },
    onHeader: (headers: Headers) => ids.push(headers.get('x-request-id')),
  };
  const { event: created } = await events.createEvent(
    { workspaceId: service.workspaceId, type: 'traced', payload: {} },
    options,
  );
  await events.retrieveEvent({ id: created?.id ?? '' }, options);
  const error = await events.retrieveEvent({ id: 'nope' }, options).catch((reason) => reason);
  ids.push(error.metadata.get('x-request-id'));
  expect(ids.length).toBeGreaterThanOrEqual(3);
  expect(new Set(ids)).toEqual(new Set([options.headers['x-request-id']]));
});

test('an answer over HTTP/2 to a bad :authority carries it', async () => {
  const session = connect(service.baseUrl);
  const call = session.request({
    ':path': '/healthz',
    ':authority': 'a:b',
    'x-request-id': 'trace-2',
  });
  const [headers] = await once(call, 'response');
  expect(headers).toMatchObject({ ':status': 400, 'x-request-id': 'trace-2' });
  session.destroy();
});

test('a problem names the same request id in its body', async () => {
  const answer = await sendRequest(service, '/nowhere', { headers: { 'x-request-id': 'trace-3' } });
  expect(JSON.parse(answer.text).request_id).toBe('trace-3');
});
