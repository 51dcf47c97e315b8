import { expect, test } from 'vitest';
import { createEventsClient } from '../support/clients.ts';
import { startCollector } from '../support/otlp-collector.ts';
import { newTrace, startTracedService } from '../support/traced-service.ts';

/** The spans of traces that are sampled by their caller, are not, and begin here; and what their webhooks said. */
async function sample(env: Record<string, string>) {
  const collector = await startCollector();
  const service = await startTracedService(env, collector);
  const traces = { sampled: newTrace('01'), unsampled: newTrace('00') };
  await service.makeEndpoint('/hooks');
  for (const headers of [traces.sampled.headers, traces.unsampled.headers, {}]) {
    const event = { workspaceId: service.workspaceId, type: 'traced', payload: {} };
    await createEventsClient(service).createEvent(event, { headers });
  }
  await service.receiver.waitFor('/hooks', 3);
  const sent = service.receiver.at('/hooks').map(({ headers }) => headers.traceparent);
  await service.stop();
  await collector.close();
  const ofTrace = (id: string) => collector.spans.filter(({ traceId }) => traceId === id).length;
  return {
    sampled: ofTrace(traces.sampled.traceId),
    unsampled: ofTrace(traces.unsampled.traceId),
    // The making of the endpoint is a trace as well.
    begun: new Set(collector.spans.map(({ traceId }) => traceId)).size,
    isSentAsItCame: [traces.sampled, traces.unsampled].every(({ headers }) =>
      sent.includes(headers.traceparent),
    ),
  };
}

test.each([
  [
    { OTEL_TRACES_SAMPLER: 'always_off' },
    { sampled: 0, unsampled: 0, begun: 0, isSentAsItCame: true },
  ],
  [
    { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' },
    { sampled: 0, unsampled: 0, begun: 0, isSentAsItCame: true },
  ],
  [
    { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' },
    { sampled: 4, unsampled: 0, begun: 1, isSentAsItCame: false },
  ],
  [
    { OTEL_TRACES_SAMPLER: 'parentbased_always_off' },
    { sampled: 4, unsampled: 0, begun: 1, isSentAsItCame: false },
  ],
  [
    { OTEL_TRACES_SAMPLER: 'always_on' },
    { sampled: 4, unsampled: 4, begun: 4, isSentAsItCame: false },
  ],
  [{}, { sampled: 4, unsampled: 0, begun: 3, isSentAsItCame: false }],
])('the sampler decides which traces there are, whatever callers say: %o', async (env, spans) => {
  expect(await sample(env)).toEqual(spans);
});
