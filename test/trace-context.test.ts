import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findUuid } from '../src/type-id.ts';
import { createEventsClient } from './support/clients.ts';
import { connectPost, createEventPath } from './support/connect-post.ts';
import { startWebhookService, type WebhookService } from './support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());

const baseOf = () => ({ workspaceId: service.workspaceId, type: 'traced', payload: {} });

describe('the trace of a call', () => {
  const trace = '0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331';

  async function stampOf(traceparent: string | undefined): Promise<string | null | undefined> {
    const headers = traceparent === undefined ? {} : { traceparent };
    const body = JSON.stringify(baseOf());
    const answer = await connectPost(service, createEventPath, body, headers);
    const { event } = JSON.parse(answer.text);
    expect(answer.text).not.toContain(trace);
    const rows = await service.database.query<{ trace_context: string | null }>(
      'select trace_context from events where id = $1',
      [findUuid('evt', event.id)],
    );
    return rows[0]?.trace_context;
  }

  test.each([
    [`00-${trace}-01`, `00-${trace}-01`],
    [`00-${trace}-00`, `00-${trace}-00`],
    // A later version: what is known of it, in the version that is spoken here.
    [`cc-${trace}-01-what-the-future-will-be-like`, `00-${trace}-01`],
    [`cc-${trace}-01`, `00-${trace}-01`],
  ])('is stamped on its events from the header traceparent: %s', async (given, stamped) => {
    expect(await stampOf(given)).toBe(stamped);
  });

  test.each([
    undefined,
    '',
    `ff-${trace}-01`,
    `00-${trace}-01-more`,
    `00-${trace.toUpperCase()}-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
    `00-${trace}-1`,
    `00-${trace}-01, 00-${trace}-01`,
    `cc-${trace}-01.what-the-future-will-not-be-like`,
  ])('is none when that is not valid: %s', async (given) => {
    expect(await stampOf(given)).toBeNull();
  });

  test('is stamped on each event of a batch', async () => {
    const headers = { traceparent: `00-${trace}-01` };
    const requests = [baseOf(), baseOf()];
    const { results } = await createEventsClient(service).batchCreateEvents(
      { requests },
      { headers },
    );
    const ids = results.map(({ result }) =>
      result.case === 'created' ? findUuid('evt', result.value.event?.id ?? '') : undefined,
    );
    const rows = await service.database.query(
      'select trace_context from events where id = any($1::uuid[])',
      [ids],
    );
    expect(rows).toEqual(
      [headers, headers].map(({ traceparent }) => ({ trace_context: traceparent })),
    );
  });

  test('goes out with the webhooks of its events, at every try and with replays', async () => {
    const { receiver } = service;
    receiver.answer = ({ attempt }) => (attempt === 1 ? 500 : 204);
    const workspaceId = await service.makeWorkspace();
    const headers = { traceparent: 'of-the-endpoint' };
    const endpointId = await service.makeEndpoint('/traced', { workspaceId, headers });
    for (const traceparent of [`cc-${trace}-00`, 'none']) {
      const event = { workspaceId, type: 'traced', payload: {} };
      await createEventsClient(service).createEvent(event, { headers: { traceparent } });
    }
    await receiver.waitFor('/traced', 4);
    await service.webhooks().createReplay({ endpointId, afterSequence: 0n });
    await receiver.waitFor('/traced', 8);
    const sent = (sequence: number) =>
      receiver
        .at('/traced')
        .filter((one) => one.sequence === sequence)
        .map((one) => [
          one.attempt,
          one.headers['harbor-replay'] !== undefined,
          one.headers.traceparent,
        ]);
    const tries = (traceparent: string) => [
      [1, false, traceparent],
      [2, false, traceparent],
      [1, true, traceparent],
      [2, true, traceparent],
    ];
    expect(sent(1)).toEqual(tries(`00-${trace}-00`));
    expect(sent(2)).toEqual(tries(headers.traceparent));
  });
});
