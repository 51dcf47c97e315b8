import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSecret } from '../src/api-keys/index.ts';
import { createEventsClient, wires } from './support/clients.ts';
import { connectPost, createEventPath, retrieveEventPath } from './support/connect-post.ts';
import { refusalOf } from './support/errors.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

/** What no line may hold, in payloads, types, idempotency keys, headers and bodies that are refused. */
const planted = 'planted-secret';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const linesOf = (id: string) => service.logLines.filter(({ request_id }) => request_id === id);
const lineOf = async (id: string) => {
  await expect.poll(() => linesOf(id).length).toBe(1);
  return linesOf(id)[0];
};
const allLines = () => JSON.stringify(service.logLines);

const restEvent = (fields: object = {}) => ({
  workspace_id: service.workspaceId,
  type: 'logged',
  payload: { card: planted },
  ...fields,
});
const post = (id: string, body: object | string, headers: Record<string, string> = {}) =>
  sendRequest(service, '/v1/events', { headers: { 'x-request-id': id, ...headers }, body });

test('a call is one line with its request id, method, path, status, time and API key id', async () => {
  await post('log-created', restEvent());
  expect(await lineOf('log-created')).toEqual({
    level: 30,
    time: expect.any(String),
    msg: 'call',
    request_id: 'log-created',
    method: 'POST',
    path: '/v1/events',
    status: 201,
    duration_ms: expect.any(Number),
    api_key_id: expect.stringMatching(/^key_[0-9a-z]{26}$/),
  });
});

test('a call that comes with a trace is one line with the id of that trace', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  await post('log-traced', restEvent(), { traceparent: `00-${traceId}-b7ad6b7169203331-00` });
  expect(await lineOf('log-traced')).toMatchObject({ status: 201, trace_id: traceId });
  await post(
    'log-keyless',
    {},
    {
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
      authorization: '',
    },
  );
  expect(await lineOf('log-keyless')).toMatchObject({ status: 401, trace_id: traceId });
  await post('log-untraced', restEvent(), { traceparent: `00-${planted}-b7ad6b7169203331-01` });
  expect(await lineOf('log-untraced')).not.toHaveProperty('trace_id');
});

test('a refused call is one line with its code and reason', async () => {
  await post('log-refused', restEvent({ type: '' }));
  expect(await lineOf('log-refused')).toMatchObject({
    level: 30,
    status: 400,
    code: 'invalid_argument',
    reason: 'INVALID_REQUEST',
  });
});

test.each(wires)('a refusal over %s is logged with its code and reason', async (wire) => {
  const id = `log-${wire}`.replaceAll(' ', '-');
  const call = createEventsClient(service, wire).retrieveEvent(
    { id: 'evt_01hzy9q7x8f4' },
    { headers: { 'x-request-id': id } },
  );
  await refusalOf(call);
  expect(await lineOf(id)).toMatchObject({ code: 'not_found', reason: 'EVENT_NOT_FOUND' });
});

describe('no line holds', () => {
  test('a payload, type or idempotency key, whether the call succeeds or fails', async () => {
    const headers = { 'idempotency-key': planted };
    await post('log-a', restEvent({ type: planted }), headers);
    await post('log-b', restEvent({ type: planted, payload: { other: planted } }), headers);
    await post('log-c', restEvent({ payload: planted }));
    await post('log-d', restEvent({ payload: { [planted]: '\0' } }));
    await post('log-e', restEvent({ [planted]: planted }));
    await post('log-f', `{"payload":"${planted}`, { 'content-type': 'application/json' });
    await post('log-g', restEvent({ payload: { long: planted.repeat(30_000) } }));
    await connectPost(service, createEventPath, Buffer.from(planted), { 'x-request-id': 'log-h' });
    await lineOf('log-h');
    expect(allLines()).not.toContain(planted);
  });

  test('an API key or a header of authorization, whether it is valid or not', async () => {
    const unknown = newSecret('secret');
    const authorizations = [
      `Bearer ${service.secretKey}`,
      `Bearer ${unknown}`,
      planted,
      `Basic ${planted}`,
    ];
    for (const authorization of authorizations)
      await post('log-keys', restEvent(), { authorization });
    await expect.poll(() => linesOf('log-keys').length).toBe(authorizations.length);
    for (const secret of [service.secretKey, unknown, planted])
      expect(allLines()).not.toContain(secret);
  });

  test('a query, in which Connect sends messages', async () => {
    const message = encodeURIComponent(JSON.stringify({ id: planted }));
    const path = `${retrieveEventPath}?connect=v1&encoding=json&message=${message}`;
    await sendRequest(service, path, { headers: { 'x-request-id': 'log-query' } });
    expect(await lineOf('log-query')).toMatchObject({ path: retrieveEventPath });
    expect(allLines()).not.toContain(planted);
  });

  test('a row that PostgreSQL names in its error', async () => {
    await service.database.query(
      `alter table events add constraint no_planted check (type <> 'refused by a rule')`,
    );
    const answer = await post('log-row', restEvent({ type: 'refused by a rule' }));
    expect(answer.status).toBe(500);
    expect(await lineOf('log-row')).toMatchObject({ level: 50, reason: 'INTERNAL' });
    expect(allLines()).toContain('no_planted');
    expect(allLines()).not.toContain(planted);
  });
});

test('a fault says outside only that it is internal, and its request id; the log has the cause', async () => {
  await service.database.query('alter table events rename to events_out_of_reach');
  const problem = problemOf(await post('log-fault', restEvent()));
  await service.database.query('alter table events_out_of_reach rename to events');
  expect(problem).toMatchObject({ status: 500, code: 'internal', reason: 'INTERNAL' });
  expect(problem.detail).toMatch(/^internal error\b.*log-fault$/);
  const line = await lineOf('log-fault');
  expect(line).toMatchObject({ level: 50, status: 500 });
  expect(JSON.stringify(line?.cause)).toContain('relation \\"events\\" does not exist');
});

test('a preflight that is refused is logged with its origin, cut; other headers never are', async () => {
  const origin = `https://${'x'.repeat(1_000)}.example.com`;
  const preflight = { origin, 'access-control-request-method': 'POST' };
  const headers = { ...preflight, authorization: '', 'x-request-id': 'log-origin' };
  await sendRequest(service, '/v1/events', { method: 'OPTIONS', headers });
  expect(await lineOf('log-origin')).toMatchObject({
    method: 'OPTIONS',
    origin: origin.slice(0, 200),
  });
  await post('log-no-preflight', restEvent(), { origin });
  expect(await lineOf('log-no-preflight')).not.toHaveProperty('origin');
});

test('a path is cut, so that a line stays short', async () => {
  await sendRequest(service, `/${'x'.repeat(8_000)}`, { headers: { 'x-request-id': 'log-path' } });
  expect(`${(await lineOf('log-path'))?.path}`.length).toBe(200);
});
