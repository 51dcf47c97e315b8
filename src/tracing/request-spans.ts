import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { readSpanContext, type Spans, toBegunSpan } from './spans.ts';
import type { BegunRequest, Tracing } from './tracing.ts';

/**
 * Spans of the requests of webhooks, one for each. They go on in the trace of the create, so that one trace leads from who
 * has created an event to who receives it. A replay is sent because somebody else asks for it, maybe years later: its
 * requests are traces of their own. All are linked to the create, as the conventions for messages ask for.
 */
export function createBeginRequest(spans: Spans): Tracing['beginRequest'] {
  return (request) => {
    const creation = readSpanContext(request.event.traceContext);
    const span = spans.begin({
      name: 'send webhook',
      kind: SpanKind.CLIENT,
      startedAtMs: performance.now(),
      attributes: () => attributesOf(request),
      parent: request.replayId === undefined ? creation : undefined,
      links: creation === undefined ? [] : [creation],
    });
    if (span === undefined) return undefined;
    return {
      ...toBegunSpan(span),
      end({ status, error }) {
        if (status !== undefined) span.setAttribute('http.response.status_code', status);
        const isMade = status !== undefined && status >= 200 && status < 300;
        if (!isMade) {
          span.setAttribute('error.type', error ?? `${status}`);
          span.setStatus({ code: SpanStatusCode.ERROR });
        }
        spans.end(span, performance.now());
      },
    };
  };
}

/** Of the URL only the host: its path may be a secret. */
function attributesOf(request: BegunRequest) {
  const { hostname, port, protocol } = new URL(request.url);
  return {
    'messaging.system': 'harbor',
    'messaging.operation.type': 'send',
    'messaging.operation.name': 'send',
    'messaging.destination.name': request.endpointId,
    'messaging.message.id': request.event.id,
    'http.request.method': 'POST',
    ...(request.attempt > 1 && { 'http.request.resend_count': request.attempt - 1 }),
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    'harbor.workspace.id': request.workspaceId,
    'harbor.delivery.id': request.deliveryId,
    ...(request.replayId !== undefined && { 'harbor.replay.id': request.replayId }),
  };
}
