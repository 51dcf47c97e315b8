import type { Log } from '../log.ts';
import type { TracingConfig } from '../tracing-config.ts';
import type { Tracing } from './tracing.ts';

/** Undefined where nothing is traced: its libraries are not even loaded then. */
export async function openTracing(
  config: TracingConfig | undefined,
  log: Log,
): Promise<Tracing | undefined> {
  if (config === undefined) return undefined;
  const { createTracing } = await import('./open-telemetry.ts');
  return createTracing(config, log);
}
