import { afterAll, beforeAll, expect, test } from 'vitest';
import { findUuid } from '../../src/type-id.ts';
import { createEventsClient } from '../support/clients.ts';
import type { ReceivedSpan } from '../support/otlp-collector.ts';
import {
  createEvent,
  named,
  newTrace,
  one,
  startTracedService,
  type TracedService,
} from '../support/traced-service.ts';

/** What no span may hold. */
const planted = 'planted-secret';

let service: TracedService;
beforeAll(async () => {
  service = await startTracedService();
});
afterAll(async () => {
  await service.stop();
  expect(JSON.stringify(service.collector.spans, bigintsAsText)).not.toContain(planted);
});

const bigintsAsText = (_name: string, value: unknown) =>
  typeof value === 'bigint' ? `${value}` : value;
const traced = (workspaceId = service.workspaceId) => ({
  workspaceId,
  type: 'traced',
  subject: planted,
  payload: { card: planted },
  metadata: { card: planted },
});
const placeOf = ({ traceId, spanId }: ReceivedSpan) => ({ traceId, spanId });

async function stampOf(eventId: string | undefined): Promise<string | null | undefined> {
  const rows = await service.database.query<{ trace_context: string | null }>(
    'select trace_context from events where id = $1',
    [findUuid('evt', eventId ?? '')],
  );
  return rows[0]?.trace_context;
}

test('a create is one trace, from its caller over queue and statement to who receives its webhook', async () => {
  const workspaceId = await service.makeWorkspace();
  const endpointId = await service.makeEndpoint('/one', { workspaceId });
  const { traceId, spanId, headers } = newTrace();
  const sent = { ...headers, tracestate: 'vendor=opaque', 'x-request-id': 'the-traced-call' };
  const { event } = await createEventsClient(service).createEvent(traced(workspaceId), {
    headers: sent,
  });
  const spans = await service.spansOf(traceId, 4);
  expect(spans).toHaveLength(4);

  const call = one(spans, createEvent);
  expect(call).toMatchObject({
    kind: 'server',
    parentSpanId: spanId,
    traceState: 'vendor=opaque',
    isError: false,
    links: [],
    attributes: {
      'rpc.system.name': 'grpc',
      'rpc.method': createEvent,
      'rpc.response.status_code': 'OK',
      'harbor.protocol': 'grpc',
      'harbor.request_id': 'the-traced-call',
    },
    resource: { 'service.name': 'harbor-events' },
  });
  const statement = one(spans, 'INSERT events');
  expect(statement).toMatchObject({
    kind: 'client',
    parentSpanId: call.spanId,
    links: [placeOf(call)],
    isError: false,
    attributes: { 'db.system.name': 'postgresql', 'db.collection.name': 'events' },
  });
  const wait = one(spans, 'wait for append');
  expect(wait).toMatchObject({
    kind: 'internal',
    parentSpanId: call.spanId,
    links: [placeOf(statement)],
    attributes: { 'harbor.creates': 1, 'harbor.workspace.id': workspaceId },
  });
  const request = one(spans, 'send webhook');
  expect(request).toMatchObject({
    kind: 'client',
    parentSpanId: call.spanId,
    links: [placeOf(call)],
    isError: false,
    attributes: {
      'messaging.message.id': event?.id,
      'messaging.destination.name': endpointId,
      'http.response.status_code': 204,
      'server.address': '127.0.0.1',
      'harbor.workspace.id': workspaceId,
    },
  });
  const [received] = service.receiver.at('/one');
  expect(received?.headers.traceparent).toBe(`00-${traceId}-${request.spanId}-01`);
  expect(received?.headers).not.toHaveProperty('tracestate');
  expect(await stampOf(event?.id)).toBe(`00-${traceId}-${call.spanId}-01`);
  expect(service.logLines.find(({ request_id }) => request_id === 'the-traced-call')).toMatchObject(
    {
      trace_id: traceId,
      span_id: call.spanId,
    },
  );

  const inOrder = [
    call.startNanos,
    wait.startNanos,
    wait.endNanos,
    statement.startNanos,
    statement.endNanos,
    call.endNanos,
  ];
  expect(inOrder).toEqual(inOrder.toSorted((a, b) => (a < b ? -1 : 1)));
});

test('a statement is linked to every call that it writes for, and the wait of each to its statement', async () => {
  const traces = Array.from({ length: 40 }, () => newTrace());
  await Promise.all(
    traces.map(({ headers }) => createEventsClient(service).createEvent(traced(), { headers })),
  );
  const ids = new Set(traces.map(({ traceId }) => traceId));
  const ofThese = () => service.collector.spans.filter(({ traceId }) => ids.has(traceId));
  await expect.poll(() => named(ofThese(), createEvent).length).toBe(traces.length);
  const spans = ofThese();
  const statements = named(spans, 'INSERT events');
  const linked = statements.flatMap(({ links }) => links.map(({ spanId }) => spanId));
  const calls = named(spans, createEvent).map(({ spanId }) => spanId);
  expect(linked.toSorted()).toEqual(calls.toSorted());
  expect(Math.max(...statements.map(({ links }) => links.length))).toBeGreaterThan(1);
  for (const wait of named(spans, 'wait for append')) {
    const statement = statements.find(({ spanId }) => spanId === wait.links[0]?.spanId);
    expect(statement?.links).toContainEqual({ traceId: wait.traceId, spanId: wait.parentSpanId });
  }
});

test('the creates of a batch wait as one', async () => {
  const { traceId, headers } = newTrace();
  const requests = Array.from({ length: 30 }, () => traced());
  await createEventsClient(service).batchCreateEvents({ requests }, { headers });
  const spans = await service.spansOf(traceId, 3);
  expect(spans).toHaveLength(3);
  expect(one(spans, 'wait for append').attributes).toMatchObject({ 'harbor.creates': 30 });
  expect(one(spans, 'INSERT events').attributes).toMatchObject({ 'db.operation.batch.size': 30 });
});

test('a create without a trace begins one, which its webhooks go on in', async () => {
  const workspaceId = await service.makeWorkspace();
  await service.makeEndpoint('/begun', { workspaceId });
  const { event } = await createEventsClient(service).createEvent(traced(workspaceId));
  const [, traceId = '', callSpanId] = (await stampOf(event?.id))?.split('-') ?? [];
  const spans = await service.spansOf(traceId, 4);
  expect(one(spans, createEvent)).toMatchObject({ parentSpanId: '', spanId: callSpanId });
  const { spanId } = one(spans, 'send webhook');
  await service.receiver.waitFor('/begun', 1);
  expect(service.receiver.at('/begun')[0]?.headers.traceparent).toBe(`00-${traceId}-${spanId}-01`);
});

test('a trace that its caller has not sampled has no span, and goes out as it came', async () => {
  const workspaceId = await service.makeWorkspace();
  await service.makeEndpoint('/unsampled', { workspaceId });
  const { traceId, headers } = newTrace('00');
  const { event } = await createEventsClient(service).createEvent(traced(workspaceId), { headers });
  await service.receiver.waitFor('/unsampled', 1);
  expect(service.receiver.at('/unsampled')[0]?.headers.traceparent).toBe(headers.traceparent);
  expect(await stampOf(event?.id)).toBe(headers.traceparent);
  const later = newTrace();
  await createEventsClient(service).createEvent(traced(workspaceId), { headers: later.headers });
  await service.spansOf(later.traceId, 4);
  expect(service.collector.spans.filter((span) => span.traceId === traceId)).toEqual([]);
});

test('each request of a webhook is a span, and one that fails says why', async () => {
  service.receiver.answer = ({ path, attempt }) => (path === '/failing' && attempt < 3 ? 500 : 204);
  const workspaceId = await service.makeWorkspace();
  await service.makeEndpoint('/failing', { workspaceId });
  const { traceId, headers } = newTrace();
  await createEventsClient(service).createEvent(traced(workspaceId), { headers });
  const requests = named(await service.spansOf(traceId, 6), 'send webhook');
  expect(requests.map(({ isError, attributes }) => [isError, attributes['error.type']])).toEqual([
    [true, '500'],
    [true, '500'],
    [false, undefined],
  ]);
  expect(requests.map(({ attributes }) => attributes['http.request.resend_count'])).toEqual([
    undefined,
    1,
    2,
  ]);
  const inHeaders = service.receiver.at('/failing').map(({ headers }) => headers.traceparent);
  expect(inHeaders).toEqual(requests.map(({ spanId }) => `00-${traceId}-${spanId}-01`));
});

test('a replay is a trace of its own for each request, linked to the create', async () => {
  const workspaceId = await service.makeWorkspace();
  const endpointId = await service.makeEndpoint('/replayed', { workspaceId });
  const { traceId, headers } = newTrace();
  await createEventsClient(service).createEvent(traced(workspaceId), { headers });
  const call = one(await service.spansOf(traceId, 4), createEvent);
  const { replay } = await service.webhooks().createReplay({ endpointId, afterSequence: 0n });
  const ofReplay = () =>
    service.collector.spans.filter(
      ({ attributes }) => attributes['harbor.replay.id'] === replay?.id,
    );
  await expect.poll(ofReplay, { timeout: 20_000 }).toHaveLength(1);
  const [request] = ofReplay();
  expect(request).toMatchObject({ parentSpanId: '', links: [placeOf(call)] });
  expect(request?.traceId).not.toBe(traceId);
  expect(service.receiver.at('/replayed')[1]?.headers.traceparent).toBe(
    `00-${request?.traceId}-${request?.spanId}-01`,
  );
});

test('a test of an endpoint goes out in the trace of whoever asks for it', async () => {
  const id = await service.makeEndpoint('/tested');
  const { traceId, headers } = newTrace();
  await service.webhooks().sendTestEvent({ id }, { headers });
  const spans = await service.spansOf(traceId, 2);
  const call = one(spans, 'harbor.webhooks.v1.WebhooksService/SendTestEvent');
  const request = one(spans, 'send webhook');
  expect(request.parentSpanId).toBe(call.spanId);
  expect(service.receiver.at('/tested')[0]?.headers.traceparent).toBe(
    `00-${traceId}-${request.spanId}-01`,
  );
});
