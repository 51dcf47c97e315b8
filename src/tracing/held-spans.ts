import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';
import type { TracingConfig } from '../tracing-config.ts';
import type { LostSpans } from './lost-spans.ts';

/** Spans that have ended, until the collector has taken them. */
export interface HeldSpans extends SpanProcessor {
  /** How many there are, those on their way among them. */
  readonly count: number;
}

/** Beside the time in which a batch ends by itself. */
const exportMsMore = 1_000;

/**
 * Sends spans in batches and holds so many at the most: what comes on top is lost, and nothing waits. What is on its way
 * counts until its outcome is known, so that a collector that hangs holds no more of them. A link counts as a span, since it
 * holds on to one.
 */
export function createHeldSpans(
  config: Pick<TracingConfig, 'heldMax' | 'batchMax' | 'delayMs' | 'timeoutMs'>,
  exporter: Pick<SpanExporter, 'export' | 'shutdown'>,
  lost: Pick<LostSpans, 'note'>,
): HeldSpans {
  const { heldMax } = config;
  let count = 0;
  let weight = 0;

  const batches = new BatchSpanProcessor({
    exporter: {
      export(spans, done) {
        exporter.export(spans, (result) => {
          count -= spans.length;
          for (const span of spans) weight -= weightOf(span);
          // 0 says that the collector has them.
          if (result.code !== 0) lost.note(spans.length, result.error);
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
    },
    maxQueueSize: heldMax,
    maxExportBatchSize: Math.min(config.batchMax, heldMax),
    scheduledDelayMillis: config.delayMs,
    exportTimeoutMillis: config.timeoutMs + exportMsMore,
  });

  return {
    get count() {
      return count;
    },
    onStart: () => undefined,
    onEnd(span) {
      const more = weightOf(span);
      if (weight > 0 && weight + more > heldMax) return lost.note(1, undefined);
      count++;
      weight += more;
      batches.onEnd(span);
    },
    forceFlush: () => batches.forceFlush(),
    shutdown: () => batches.shutdown(),
  };
}

function weightOf({ links }: ReadableSpan): number {
  return 1 + links.length;
}
