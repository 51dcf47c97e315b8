import { createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Health } from '../gen/typescript/health/v1/health_pb.ts';
import { createEventsClient, createTransport, wires } from './support/clients.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

/** The headers of a stream, which is left once it has begun. */
async function headersOf(
  open: (options: {
    signal: AbortSignal;
    onHeader: (header: Headers) => void;
  }) => AsyncIterable<unknown>,
): Promise<Headers> {
  const leave = new AbortController();
  let headers = new Headers();
  const onHeader = (header: Headers) => {
    headers = header;
  };
  for await (const _first of open({ signal: leave.signal, onHeader })) break;
  leave.abort();
  return headers;
}

describe.each(wires)('over %s', (wire) => {
  test('a proxy is asked to pass on each message of a stream at once', async () => {
    const events = createEventsClient(service, wire);
    const health = createClient(Health, createTransport(wire, service.baseUrl));
    const { workspaceId } = service;
    const ofEvents = await headersOf((options) => events.subscribeEvents({ workspaceId }, options));
    const withTimeout = await headersOf((options) =>
      events.subscribeEvents({ workspaceId }, { ...options, timeoutMs: 60_000 }),
    );
    const ofHealth = await headersOf((options) => health.watch({ service: '' }, options));
    for (const headers of [ofEvents, withTimeout, ofHealth]) {
      expect(headers.get('x-accel-buffering')).toBe('no');
    }
  });
});
