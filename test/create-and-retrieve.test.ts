import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventsClient, wires } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

describe.each(wires)('over %s', (wire) => {
  test('an event that was created comes back as it was sent', async () => {
    const events = createEventsClient(service, wire);
    const payload = { invoice_id: 'inv_1', lines: [{ amount: 4200.5, paid: true, note: null }] };
    const { event, replayed } = await events.createEvent({
      workspaceId: service.workspaceId,
      type: 'invoice.paid',
      payload,
    });
    expect(replayed).toBe(false);
    expect(event?.id).toMatch(/^evt_[0-9a-z]{26}$/);
    expect(event?.payload).toEqual(payload);

    const found = await events.retrieveEvent({ id: event?.id ?? '' });
    expect(found.event).toEqual(event);
  });

  test('a create that is repeated with its key returns the original event', async () => {
    const events = createEventsClient(service, wire);
    const request = {
      workspaceId: service.workspaceId,
      type: 'invoice.paid',
      payload: { invoice_id: 'inv_2', amount: 1 },
      idempotencyKey: `repeat ${wire}`,
    };
    const first = await events.createEvent(request);
    const second = await events.createEvent({
      ...request,
      payload: { amount: 1, invoice_id: 'inv_2' },
    });
    expect(second.replayed).toBe(true);
    expect(second.event).toEqual(first.event);
    expect(second.idempotencyKeyExpiresAt).toEqual(first.idempotencyKeyExpiresAt);
  });

  test('an error says its reason and the field that is wrong', async () => {
    const events = createEventsClient(service, wire);
    const refusal = await refusalOf(
      events.createEvent({ workspaceId: service.workspaceId, type: 'a*', payload: {} }),
    );
    expect(refusal).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['type'],
    });
  });
});

test('the events of a workspace are numbered 1, 2, 3 without gaps, whatever their number at once', async () => {
  await service.app.workspaces.create('ws_numbered', '');
  const events = createEventsClient(service);
  const created = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      events.createEvent({ workspaceId: 'ws_numbered', type: 'counted', payload: { index } }),
    ),
  );
  const sequences = created.map(({ event }) => Number(event?.sequence)).sort((a, b) => a - b);
  expect(sequences).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
});
