import { afterAll, beforeAll, expect, test } from 'vitest';
import { newSecret } from '../../src/api-keys/index.ts';
import { createEventsClient, type Wire } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { sendRequest } from '../support/http-request.ts';
import { subscribeTo } from '../support/subscriber.ts';
import {
  createEvent,
  newTrace,
  one,
  startTracedService,
  type TracedService,
} from '../support/traced-service.ts';

let service: TracedService;
beforeAll(async () => {
  service = await startTracedService();
});
afterAll(() => service.stop());

const clientOf = (wire?: Wire) => createEventsClient(service, wire);
const traced = () => ({ workspaceId: service.workspaceId, type: 'traced', payload: {} });

test.each([
  ['grpc', 'grpc', 'NOT_FOUND'],
  ['grpc-web', 'grpc', 'NOT_FOUND'],
  ['connect json', 'connectrpc', 'not_found'],
] as const)('that is refused over %s says so, and is no fault', async (wire, system, status) => {
  const { traceId, headers } = newTrace();
  const call = clientOf(wire).retrieveEvent({ id: 'evt_01hzy9q7x8f4' }, { headers });
  await refusalOf(call);
  const [span] = await service.spansOf(traceId, 1);
  expect(span).toMatchObject({ isError: false });
  expect(span?.attributes).toMatchObject({
    'rpc.system.name': system,
    'rpc.response.status_code': status,
    'harbor.reason': 'EVENT_NOT_FOUND',
    'harbor.protocol': wire === 'connect json' ? 'connect' : wire,
  });
});

test('a call over REST is a span of its RPC', async () => {
  const { traceId, headers } = newTrace();
  const { workspaceId: workspace_id, type, payload } = traced();
  const answer = await sendRequest(service, '/v1/events', {
    headers,
    body: { workspace_id, type, payload },
  });
  expect(answer.status).toBe(201);
  const call = one(await service.spansOf(traceId, 3), createEvent);
  expect(call.attributes).toMatchObject({
    'rpc.system.name': 'connectrpc',
    'harbor.protocol': 'rest',
  });
  expect(call.attributes).not.toHaveProperty('rpc.response.status_code');
});

test('a call that is a stream is a span from its first to its last byte', async () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const subscriber = subscribeTo(clientOf(), { workspaceId: service.workspaceId });
  await subscriber.caughtUp();
  await subscriber.leave();
  const name = 'harbor.events.v1.EventsService/SubscribeEvents';
  const [stream] = await service.collector.waitFor(name);
  expect(stream?.attributes).toMatchObject({ 'rpc.response.status_code': 'CANCELLED' });
  expect(stream?.isError).toBe(false);
  // The two clocks are a millisecond or two apart.
  expect(stream?.startNanos).toBeGreaterThan(before - 5_000_000n);
});

test('a call that the gate refuses is no span, nor is a probe, whatever they say of their trace', async () => {
  const { traceId, headers } = newTrace();
  const reader = await service.issueKey({ scopes: ['events:read'] });
  const secrets = ['nobody', newSecret('secret'), reader];
  for (const authorization of ['', ...secrets.map((secret) => `Bearer ${secret}`)]) {
    const answer = await sendRequest(service, '/v1/events', {
      headers: { ...headers, authorization },
      body: {},
    });
    expect(answer.status).toBe(authorization.endsWith(reader) ? 403 : 401);
  }
  for (const path of ['/healthz', '/readyz', '/nowhere']) {
    await sendRequest(service, path, { headers });
  }
  const later = newTrace();
  await clientOf().createEvent(traced(), { headers: later.headers });
  await service.spansOf(later.traceId, 3);
  expect(service.collector.spans.filter((span) => span.traceId === traceId)).toEqual([]);
});

test.each([
  ['too long', `a=${'b'.repeat(300)},c=${'d'.repeat(300)}`],
  ['no pairs', 'nothing'],
])('a call goes on in its trace without a tracestate that is %s', async (_what, tracestate) => {
  const { traceId, spanId, headers } = newTrace();
  await clientOf().createEvent(traced(), { headers: { ...headers, tracestate } });
  const call = one(await service.spansOf(traceId, 3), createEvent);
  expect(call).toMatchObject({ parentSpanId: spanId, traceState: '' });
});
