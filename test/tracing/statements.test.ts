import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEventsClient } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import {
  createEvent,
  named,
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

const traced = () => ({ workspaceId: service.workspaceId, type: 'traced', payload: {} });

/** Holds the workspace, so that no create of it can be written until the lock is let go of. */
async function lockWorkspace(): Promise<() => Promise<void>> {
  const holder = await service.database.connect();
  await holder.query('begin');
  await holder.query('select from workspaces where id = $1 for update', [service.workspaceId]);
  return () => holder.end();
}

test('a statement that fails is a span with its error, and the create waits anew', async () => {
  const release = await lockWorkspace();
  const { traceId, headers } = newTrace();
  const created = createEventsClient(service).createEvent(traced(), { headers });
  const failedOf = () =>
    service.collector.spans.filter((span) => span.traceId === traceId && span.isError);
  await expect.poll(failedOf, { timeout: 20_000 }).not.toEqual([]);
  await release();
  await created;
  await expect
    .poll(() =>
      service.collector.spans.some((span) => span.traceId === traceId && span.name === createEvent),
    )
    .toBe(true);
  const spans = service.collector.spans.filter((span) => span.traceId === traceId);
  const [failed, ...others] = named(spans, 'INSERT events');
  expect(failed).toMatchObject({ isError: true, attributes: { 'error.type': 'AppendContended' } });
  expect(others.at(-1)).toMatchObject({ isError: false });
  const [first, second] = named(spans, 'wait for append');
  expect(first?.endNanos).toBeLessThanOrEqual(failed?.startNanos ?? 0n);
  expect(second?.startNanos).toBeGreaterThanOrEqual(failed?.endNanos ?? 0n);
  expect(one(spans, createEvent).isError).toBe(false);
});

test('a call whose time is up is a fault of the service', async () => {
  const release = await lockWorkspace();
  const { traceId, headers } = newTrace();
  const call = createEventsClient(service).createEvent(traced(), { headers, timeoutMs: 50 });
  await refusalOf(call);
  const found = () =>
    service.collector.spans.find((span) => span.traceId === traceId && span.name === createEvent);
  await expect.poll(found, { timeout: 20_000 }).toMatchObject({
    isError: true,
    attributes: {
      'error.type': 'DEADLINE_EXCEEDED',
      'rpc.response.status_code': 'DEADLINE_EXCEEDED',
    },
  });
  await release();
});
