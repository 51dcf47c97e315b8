import { getHeapStatistics } from 'node:v8';
import prometheus from 'prom-client';

/**
 * Those of the library that take longer the more connections there are: with 8,000 open files one reads for 20 ms, in
 * which nobody is answered.
 */
const growing = [
  'process_open_fds',
  'nodejs_active_resources',
  'nodejs_active_resources_total',
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
];

/** CPU, memory, event loop and garbage collection, under the names that every Node process has them. */
export function watchProcess(registry: prometheus.Registry): void {
  prometheus.collectDefaultMetrics({ register: registry });
  for (const name of growing) registry.removeSingleMetric(name);
  new prometheus.Gauge({
    name: 'harbor_heap_limit_bytes',
    help: 'The heap that Node may use before the process ends (--max-old-space-size and the rest)',
    registers: [registry],
    collect() {
      this.set(getHeapStatistics().heap_size_limit);
    },
  });
}
