import { randomUUID } from 'node:crypto';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { TracerProvider } from '@opentelemetry/sdk-trace';
import type { Log } from '../log.ts';
import type { TracingConfig } from '../tracing-config.ts';
import { createAppendSpans } from './append-spans.ts';
import { createBeginCall } from './call-spans.ts';
import { createExporter } from './exporter.ts';
import { createHeldSpans } from './held-spans.ts';
import { createLostSpans } from './lost-spans.ts';
import { createBeginRequest } from './request-spans.ts';
import { createSampler } from './sampler.ts';
import { createSpans } from './spans.ts';
import type { Tracing } from './tracing.ts';

/** What comes of them goes to the operator's collector: nothing that a caller sends may be long there. */
const valueLengthMax = 1_024;
/** As many as creates that one statement writes. */
const linksMax = 500;
/** Of the 25 s of a stop. */
const stopMsMax = 2_000;

/** Tracing by OpenTelemetry, to a collector that speaks OTLP over HTTP. */
export function createTracing(config: TracingConfig, log: Log): Tracing {
  const lost = createLostSpans(log);
  const exporter = createExporter(config);
  const held = createHeldSpans(config, exporter, lost);
  const sampler = createSampler(config);
  const provider = new TracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({ 'service.instance.id': randomUUID(), ...config.resource }),
    ),
    sampler,
    spanProcessors: [held],
    spanLimits: { attributeValueLengthLimit: valueLengthMax, linkCountLimit: linksMax },
  });
  const spans = createSpans(provider.getTracer('harbor-events'), sampler);
  return {
    beginCall: createBeginCall(spans),
    beginRequest: createBeginRequest(spans),
    watcher: createAppendSpans(spans),
    async stop() {
      const timeUp = Promise.withResolvers<void>();
      const timer = setTimeout(timeUp.resolve, stopMsMax);
      // What fails on the way is told as lost.
      await Promise.race([provider.shutdown().catch(() => undefined), timeUp.promise]);
      clearTimeout(timer);
      exporter.destroy();
      lost.stop(held.count);
    },
  };
}
