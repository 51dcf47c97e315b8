import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { TracingConfig } from '../tracing-config.ts';

/** Sends spans to a collector, a batch after another. */
export interface Exporter extends Pick<SpanExporter, 'export' | 'shutdown'> {
  /** Ends what is on its way, and its connections. */
  destroy(): void;
}

export function createExporter(config: TracingConfig): Exporter {
  const { url, headers, timeoutMs, compression, tls } = config;
  const agent = url.startsWith('https:')
    ? new HttpsAgent({ keepAlive: true, ...tls })
    : new HttpAgent({ keepAlive: true });
  const exporter = new OTLPTraceExporter({
    url,
    headers: { ...headers },
    timeoutMillis: timeoutMs,
    compression: compression as never,
    httpAgentOptions: () => agent,
  });
  return {
    export: (spans, done) => exporter.export(spans, done),
    shutdown: () => exporter.shutdown(),
    destroy: () => agent.destroy(),
  };
}
