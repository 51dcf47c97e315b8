import type { Gauge } from '../gauge.ts';
import type { Watcher } from '../observer.ts';

/** The metrics of a service, from its start to its end. */
export interface OpenMetrics {
  readonly watchers: readonly Watcher[];
  show(gauges: readonly Gauge[]): void;
  /** Undefined: they are off. @throws the error of a port that cannot be had. */
  listen(): Promise<{ readonly host: string; readonly port: number } | undefined>;
  close(): Promise<void>;
}

const off: OpenMetrics = {
  watchers: [],
  show: () => undefined,
  listen: async () => undefined,
  close: async () => undefined,
};

/** @param at undefined: nothing is counted, and nothing of it is loaded. */
export async function openMetrics(
  at: { readonly host: string; readonly port: number } | undefined,
  onError: (error: unknown) => void,
): Promise<OpenMetrics> {
  if (at === undefined) return off;
  const [{ createMetrics, metricsContentType }, { createMetricsPort }] = await Promise.all([
    import('./metrics.ts'),
    import('./metrics-port.ts'),
  ]);
  const { watchers, show, read } = createMetrics();
  const port = createMetricsPort({ read, contentType: metricsContentType, onError });
  return { watchers, show, listen: () => port.listen(at.host, at.port), close: port.close };
}
