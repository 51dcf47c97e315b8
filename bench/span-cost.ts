import { readConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { createTracing } from '../src/tracing/open-telemetry.ts';

/** Creates that one statement writes, in turns of the event loop as many as these. */
const createsPerBatch = 64;
const warmUpBatches = 300;
const batches = 600;

const rpc = 'harbor.events.v1.EventsService/CreateEvent';
const traceOf = (index: number, flags: string) =>
  `00-${`${index + 1}`.padStart(32, 'a')}-00f067aa0ba902b7-${flags}`;

/**
 * What the spans of a create cost by themselves, in this process and without a service: CPU in µs, that of writing and
 * sending them included.
 */
export async function measureSpanCost(
  env: Record<string, string>,
  flags?: '00' | '01',
): Promise<number> {
  const { tracing: config } = readConfig(env);
  if (config === undefined) throw new Error('no endpoint to send spans to');
  const tracing = createTracing(config, createLog('silent'));
  let made = 0;

  async function run(count: number): Promise<void> {
    for (let batch = 0; batch < count; batch++) {
      const calls = Array.from({ length: createsPerBatch }, () => {
        const traceparent = flags && traceOf(made++, flags);
        const startedAtMs = performance.now();
        const call = { rpc, protocol: 'connect', requestId: 'bench', startedAtMs } as const;
        const trace = tracing.beginCall({ ...call, traceparent, tracestate: undefined });
        const event = { workspaceId: 'ws_bench', traceContext: trace?.traceparent ?? traceparent };
        return { trace, create: { askedAtMs: startedAtMs, event } };
      });
      const creates = calls.map(({ create }) => create);
      const takenAtMs = performance.now();
      tracing.watcher.batchTaken?.(creates, takenAtMs);
      const written = { startedAtMs: takenAtMs, durationMs: 1, error: undefined };
      tracing.watcher.batchWritten?.({ ...written, rows: creates.map((create) => [create]) });
      for (const { trace } of calls) {
        trace?.end({ code: 'ok', startedAtMs: takenAtMs, durationMs: 2 }, undefined);
      }
      await new Promise(setImmediate);
    }
  }

  await run(warmUpBatches);
  const before = process.cpuUsage();
  await run(batches);
  await tracing.stop();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (batches * createsPerBatch);
}
