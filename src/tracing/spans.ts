import {
  type Attributes,
  type Context,
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanKind,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { type Sampler, SamplingDecision } from '@opentelemetry/sdk-trace';
import { parseTraceparent, toTraceparent } from '../trace-context.ts';
import type { BegunSpan } from './tracing.ts';
import { createWallClock } from './wall-clock.ts';

/** What a span begins with. */
export interface SpanStart {
  readonly name: string;
  readonly kind: SpanKind;
  readonly startedAtMs: number;
  /** Asked for only when the sampler takes the span. */
  readonly attributes: () => Attributes;
  /** Undefined: it begins a trace of its own. */
  readonly parent: SpanContext | undefined;
  readonly links?: readonly SpanContext[];
}

/** Spans at times of `performance.now()`, in traces that are told as texts. */
export interface Spans {
  /** Undefined where the sampler leaves it out. */
  begin(start: SpanStart): Span | undefined;
  end(span: Span, endedAtMs: number): void;
  /** Whether the sampler takes what goes on behind a place in a trace. */
  isSampled(parent: SpanContext): boolean;
}

export function createSpans(tracer: Tracer, sampler: Sampler): Spans {
  const timeOf = createWallClock();
  return {
    begin({ name, kind, startedAtMs, attributes, parent, links = [] }) {
      const span = tracer.startSpan(
        name,
        { kind, startTime: timeOf(startedAtMs), links: links.map(toLink) },
        contextOf(parent),
      );
      return span.isRecording() ? span.setAttributes(attributes()) : undefined;
    },
    end: (span, endedAtMs) => span.end(timeOf(endedAtMs)),
    isSampled(parent) {
      const { traceId } = parent;
      const { decision } = sampler.shouldSample(contextOf(parent), traceId, '', 0, {}, []);
      return decision === SamplingDecision.RECORD_AND_SAMPLED;
    },
  };
}

function contextOf(parent: SpanContext | undefined): Context {
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
}

function toLink(context: SpanContext): Link {
  return { context };
}

/**
 * A place in a trace, as it was told in texts.
 *
 * @param tracestate is left out where it is not valid, or longer than 512 characters.
 */
export function readSpanContext(
  traceparent: string | undefined,
  tracestate?: string | undefined,
): SpanContext | undefined {
  const parsed = parseTraceparent(traceparent);
  if (parsed === undefined) return undefined;
  const { traceId, spanId, flags } = parsed;
  const state = tracestate === undefined ? undefined : createTraceState(tracestate);
  return {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(state !== undefined && { traceState: state }),
  };
}

export function toBegunSpan(span: Span): BegunSpan {
  const { traceId, spanId, traceFlags } = span.spanContext();
  const flags = traceFlags.toString(16).padStart(2, '0');
  return { traceId, spanId, traceparent: toTraceparent({ traceId, spanId, flags }) };
}
