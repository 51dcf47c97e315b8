import { getOption, hasOption } from '@bufbuild/protobuf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http } from '../../gen/typescript/google/api/annotations_pb.ts';
import { ApiKeysService } from '../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { WebhooksService } from '../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { WorkspacesService } from '../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import { createEventsClient } from '../support/clients.ts';
import { fillLog, tearOut } from '../support/filled-log.ts';
import { startTestService, type TestService, testWorkspaceId } from '../support/test-service.ts';

let service: TestService;

beforeAll(async () => {
  service = await startTestService();
  await createEventsClient(service).batchCreateEvents({
    requests: Array.from({ length: 30 }, (_, index) => ({
      workspaceId: testWorkspaceId,
      type: index % 3 === 0 ? 'invoice.paid' : 'order.placed',
      payload: { index },
    })),
  });
});
afterAll(() => service.stop());

const filter = `workspace_id=${testWorkspaceId}`;

function get(path: string, headers: Record<string, string> = {}, signal?: AbortSignal) {
  const authorization = `Bearer ${service.secretKey}`;
  return fetch(service.baseUrl + path, {
    headers: { authorization, ...headers },
    ...(signal && { signal }),
  });
}

interface ServerSentEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
}

/** Reads a stream message by message, as EventSource does; ends when the consumer leaves. */
async function* readEvents(response: Response): AsyncGenerator<ServerSentEvent> {
  let text = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const messages = text.split('\n\n');
    text = messages.pop() ?? '';
    for (const message of messages) {
      yield Object.fromEntries(
        message.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)),
      );
    }
  }
}

test('GET /v1/events lists page by page with the filters of the RPC', async () => {
  const sequences: number[] = [];
  let token = '';
  do {
    const path = `/v1/events?${filter}&type_patterns=invoice.*&order=desc&page_size=4&page_token=${token}`;
    const page = (await (await get(path)).json()) as {
      events: { sequence: number }[];
      next_page_token: string;
    };
    sequences.push(...page.events.map(({ sequence }) => sequence));
    token = page.next_page_token;
  } while (token !== '');
  expect(sequences).toEqual([28, 25, 22, 19, 16, 13, 10, 7, 4, 1]);
});

test('types is another name for type_patterns', async () => {
  const read = async (query: string) => (await get(`/v1/events?${filter}&${query}`)).json();
  expect(await read('types=invoice.*,none')).toEqual(await read('type_patterns=invoice.*,none'));
  expect(await read('types=invoice.*')).toMatchObject({ events: { length: 10 } });
});

test.each([
  ['workspace_id=nope', 'workspace_id'],
  [`${filter}&page_size=501`, 'page_size'],
  [`${filter}&page_size=many`, 'page_size'],
  [`${filter}&order=up`, 'order'],
  [`${filter}&created_after=yesterday`, 'created_after'],
  [`${filter}&after_sequence=-1`, 'after_sequence'],
  [`${filter}&page_token=none`, 'page_token'],
  [`${filter}&type=invoice.paid`, 'type'],
  [`${filter}&type_patterns=`, 'type_patterns[0]'],
  [`${filter}&type_patterns=invoice.paid,%20order.placed`, 'type_patterns[1]'],
  [`${filter}&type_patterns=invoice.paid,*.placed`, 'type_patterns[1]'],
  [`${filter}&types=invoice.paid,*.placed`, 'types[1]'],
  [`types=*a&${filter}`, 'types[0]'],
  [`${filter}&subject=`, 'subject'],
  [`${filter}&types=invoice.paid&type_patterns=order.*`, 'type_patterns'],
  [`${filter}&${filter}`, 'workspace_id'],
  ...['constructor', '__proto__', 'toString', 'ASC', ''].map((order) => [
    `${filter}&order=${order}`,
    'order',
  ]),
  [`${filter}&__proto__=1`, '__proto__'],
  [`${filter}&type_patterns=%ff`, 'type_patterns'],
  [
    `${filter}&created_after=2026-01-02T00:00:00Z&created_before=2026-01-01T00:00:00Z`,
    'created_before',
  ],
  [`${filter}&types=%ff`, 'types'],
  [`${filter}&types=caf%C3`, 'types'],
  [`${filter}&types=100%`, 'types'],
  ['workspace_id=ws_%f', 'workspace_id'],
  [`${filter}&%ff=1`, '%ff'],
  [`${filter}&page_token=%ed%a0%80`, 'page_token'],
  ...[
    '2026-02-30T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T23:60:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00%2B24:00',
    '2026-01-01T00:00:00%2B01:60',
    '2026-01-01T00:00:00+01:00',
    '0000-01-01T00:00:00Z',
    '',
  ].flatMap((time) => [
    [`${filter}&created_after=${time}`, 'created_after'],
    [`${filter}&created_before=${time}`, 'created_before'],
  ]),
])('GET /v1/events?%s is refused and names %s', async (query, field) => {
  const response = await get(`/v1/events?${query}`);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    code: 'invalid_argument',
    reason: 'INVALID_REQUEST',
    violations: [expect.objectContaining({ field })],
    request_id: response.headers.get('x-request-id'),
  });
});

test.each([
  '2024-02-29T00:00:00Z',
  '2000-02-29T23:59:59.999999999Z',
  '0004-02-29T00:00:00Z',
  '2026-12-31T23:59:59%2B14:00',
  '2026-01-31T00:00:00-23:59',
])('GET /v1/events?created_after=%s is a time', async (time) => {
  expect((await get(`/v1/events?${filter}&created_after=${time}`)).status).toBe(200);
});

test.each(['%ff', 'evt_%', '%ed%a0%80', '%E0%A4%A'])(
  'GET /v1/events/%s is refused for its percent-encoding',
  async (id) => {
    const response = await get(`/v1/events/${id}`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      violations: [{ field: 'id', description: 'must be UTF-8 in percent-encoding' }],
    });
  },
);

test.each([
  ['types=%ff', {}, 'types'],
  ['types=*a', {}, 'types[0]'],
  ['type_patterns=*a', {}, 'type_patterns[0]'],
  ['type_patterns=a&types=b', {}, 'type_patterns'],
  ['access_token=%ff', { authorization: '' }, 'access_token'],
  ['', { 'last-event-id': '9007199254740992' }, 'Last-Event-ID'],
  ['', { 'last-event-id': '-1' }, 'Last-Event-ID'],
])('a stream with %j and %j is refused and names %s', async (query, headers, field) => {
  const response = await get(`/v1/events/stream?${filter}&${query}`, { ...headers });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ violations: [{ field }] });
});

test('the stream begins after Last-Event-ID, says when it has caught up, and goes on live', async () => {
  const leave = new AbortController();
  const headers = { 'last-event-id': '28' };
  const response = await get(`/v1/events/stream?${filter}`, headers, leave.signal);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const messages = readEvents(response);
  const next = async () => (await messages.next()).value as ServerSentEvent;

  expect(await next()).toMatchObject({ id: '29' });
  const last = await next();
  expect(last.id).toBe('30');
  expect(JSON.parse(last.data ?? '')).toMatchObject({
    type: 'order.placed',
    workspace_id: testWorkspaceId,
    payload: { index: 29 },
    sequence: 30,
  });
  expect(await next()).toMatchObject({ id: '30', event: 'caught_up' });

  const type = 'came.live';
  await createEventsClient(service).createEvent({
    workspaceId: testWorkspaceId,
    type,
    payload: {},
  });
  expect(JSON.parse((await next()).data ?? '')).toMatchObject({ type, sequence: 31 });
  leave.abort();
});

test('a stream that cannot begin is refused with its status, and is not a stream', async () => {
  const workspaceId = 'ws_torn';
  await service.app.workspaces.create(workspaceId, '');
  await fillLog(service.database, workspaceId, [{ type: 'kept' }, { type: 'kept' }]);
  await tearOut(service.database, workspaceId, 1);
  const path = `/v1/events/stream?workspace_id=${workspaceId}&after_sequence=0`;
  const response = await get(path);
  expect(response.status).toBe(500);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(await response.json()).toMatchObject({ reason: 'LOG_GAP' });
});

test('a stream takes its key from access_token, as EventSource needs it', async () => {
  const leave = new AbortController();
  const path = `/v1/events/stream?${filter}&access_token=${service.secretKey}`;
  const response = await fetch(service.baseUrl + path, { signal: leave.signal });
  const first = await readEvents(response).next();
  expect(first.value).toMatchObject({ event: 'caught_up' });
  leave.abort();
  const logged = JSON.stringify(service.logLines);
  expect(logged).not.toContain(service.secretKey);
});

test.each([
  ['without a key', `/v1/events/stream?${filter}`, { authorization: '' }, 401, 'API_KEY_MISSING'],
  [
    'after the future',
    `/v1/events/stream?${filter}&after_sequence=999`,
    {},
    400,
    'SEQUENCE_IN_FUTURE',
  ],
  ['of no workspace', '/v1/events/stream?workspace_id=ws_none', {}, 404, 'WORKSPACE_NOT_FOUND'],
  [
    'with a broken Last-Event-ID',
    `/v1/events/stream?${filter}`,
    { 'last-event-id': 'x' },
    400,
    'INVALID_REQUEST',
  ],
])('a stream %s is a problem before it begins', async (_what, path, headers, status, reason) => {
  const response = await get(path, headers as Record<string, string>);
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(await response.json()).toMatchObject({ status, reason });
});

test('a stream that is left is not an error of the service', async () => {
  const leave = new AbortController();
  const response = await get(`/v1/events/stream?${filter}`, {}, leave.signal);
  await readEvents(response).next();
  const requestId = response.headers.get('x-request-id');
  leave.abort();
  const line = () => service.logLines.find((entry) => entry.request_id === requestId);
  await expect.poll(line).toMatchObject({ reason: 'CANCELLED', level: 30 });
});

test('GET /openapi.json describes every path of the REST face', async () => {
  const response = await fetch(`${service.baseUrl}/openapi.json`);
  const document = (await response.json()) as { paths: object };
  const services = [EventsService, WebhooksService, ApiKeysService, WorkspacesService];
  const annotated = services
    .flatMap(({ methods }) => methods)
    .filter((rpc) => hasOption(rpc, http))
    .map((rpc) => getOption(rpc, http).pattern.value);
  expect(annotated).toEqual(expect.arrayContaining(['/v1/events', '/v1/events/{id}']));
  const own = ['/healthz', '/openapi.json', '/readyz'];
  const paths = new Set([...own, ...annotated]);
  expect(Object.keys(document.paths).sort()).toEqual([...paths].sort());
});
