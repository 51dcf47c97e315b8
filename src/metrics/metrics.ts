import prometheus from 'prom-client';
import type { Gauge } from '../gauge.ts';
import type { Watcher } from '../observer.ts';
import { watchAppends } from './append-metrics.ts';
import { watchCalls } from './call-metrics.ts';
import { watchProcess } from './process-metrics.ts';
import { watchRateLimits } from './rate-limit-metrics.ts';
import { watchStatements } from './statement-metrics.ts';
import { watchWebhooks } from './webhook-metrics.ts';

/** What this process shows of itself to Prometheus. */
export interface Metrics {
  /** Those who count what is done. */
  readonly watchers: readonly Watcher[];
  /** Shows figures that are read when they are asked for. */
  show(gauges: readonly Gauge[]): void;
  /** Everything, in the text format of Prometheus. */
  read(): Promise<string>;
}

/** That of the text. */
export const metricsContentType: string = prometheus.Registry.PROMETHEUS_CONTENT_TYPE;

export function createMetrics(): Metrics {
  const registry = new prometheus.Registry();
  watchProcess(registry);
  return {
    watchers: [
      watchCalls(registry),
      watchAppends(registry),
      watchRateLimits(registry),
      watchStatements(registry),
      watchWebhooks(registry),
    ],
    show(gauges) {
      for (const gauge of gauges) showGauge(registry, gauge);
    },
    read: () => registry.metrics(),
  };
}

function showGauge(registry: prometheus.Registry, { name, help, label, read }: Gauge): void {
  new prometheus.Gauge({
    name,
    help,
    labelNames: label === undefined ? [] : [label],
    registers: [registry],
    collect() {
      const figures = read();
      if (typeof figures === 'number') return this.set(figures);
      for (const [value, figure] of Object.entries(figures))
        this.set({ [label ?? '']: value }, figure);
    },
  });
}
