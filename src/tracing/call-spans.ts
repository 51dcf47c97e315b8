import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { readSpanContext, type Spans, toBegunSpan } from './spans.ts';
import type { Tracing } from './tracing.ts';

/** The codes that are the service's fault, as the conventions for servers of RPCs have it; the others are the caller's. */
const faults = new Set([
  'unknown',
  'deadline_exceeded',
  'unimplemented',
  'internal',
  'unavailable',
  'data_loss',
]);

/** Spans of calls, in the trace of whoever calls. */
export function createBeginCall(spans: Spans): Tracing['beginCall'] {
  return ({ rpc, protocol, requestId, startedAtMs, traceparent, tracestate }) => {
    const isGrpc = protocol === 'grpc' || protocol === 'grpc-web';
    const span = spans.begin({
      name: rpc,
      kind: SpanKind.SERVER,
      startedAtMs,
      attributes: () => ({
        'rpc.system.name': isGrpc ? 'grpc' : 'connectrpc',
        'rpc.method': rpc,
        'harbor.protocol': protocol,
        'harbor.request_id': requestId,
      }),
      parent: readSpanContext(traceparent, tracestate),
    });
    if (span === undefined) return undefined;
    return {
      ...toBegunSpan(span),
      end(call, reason) {
        const { code } = call;
        const status = isGrpc ? toGrpcStatus(code) : code;
        if (isGrpc || code !== 'ok') span.setAttribute('rpc.response.status_code', status);
        if (reason !== undefined) span.setAttribute('harbor.reason', reason);
        if (faults.has(code)) {
          span.setAttribute('error.type', status).setStatus({ code: SpanStatusCode.ERROR });
        }
        spans.end(span, call.startedAtMs + call.durationMs);
      },
    };
  };
}

/** gRPC writes one of them in another way. */
function toGrpcStatus(code: string): string {
  return code === 'canceled' ? 'CANCELLED' : code.toUpperCase();
}
