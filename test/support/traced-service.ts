import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { type Collector, type ReceivedSpan, startCollector } from './otlp-collector.ts';
import { startWebhookService, type WebhookService } from './webhook-service.ts';

/** A service whose spans go to a collector of its own, soon after they have ended. */
export interface TracedService extends WebhookService {
  readonly collector: Collector;
  /** The spans of a trace, once there are so many. */
  spansOf(traceId: string, count: number): Promise<ReceivedSpan[]>;
}

export const createEvent = 'harbor.events.v1.EventsService/CreateEvent';

/**
 * @param env of tracing, beside the endpoint.
 * @param shared a collector that outlives the service.
 */
export async function startTracedService(
  env: Record<string, string> = {},
  shared?: Collector,
): Promise<TracedService> {
  const collector = shared ?? (await startCollector());
  const { tracing } = readConfig({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_BSP_SCHEDULE_DELAY: '10',
    ...env,
  });
  const service = await startWebhookService({}, undefined, { tracing });
  return {
    ...service,
    collector,
    async spansOf(traceId, count) {
      const found = () => collector.spans.filter((span) => span.traceId === traceId);
      await expect
        .poll(() => found().length, { timeout: 20_000, interval: 10 })
        .toBeGreaterThanOrEqual(count);
      return found();
    },
    async stop() {
      await service.stop();
      if (shared === undefined) await collector.close();
    },
  };
}

/** A caller's place in a trace that nobody else knows. */
export function newTrace(flags = '01') {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-${flags}` } };
}

export function named(spans: readonly ReceivedSpan[], name: string): ReceivedSpan[] {
  return spans.filter((span) => span.name === name);
}

/** The one span that has a name. */
export function one(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const [span, ...more] = named(spans, name);
  expect(more).toEqual([]);
  if (span === undefined) throw new Error(`no span ${name}`);
  return span;
}
