import { createContextKey, type HandlerContext } from '@connectrpc/connect';
import { readTraceparent } from './trace-context.ts';

/** Where the request gate leaves the `traceparent` of a call's own span; none where it is not traced. */
export const traceContextKey = createContextKey<string | undefined>(undefined, {
  description: 'the traceparent of the span of the call',
});

/** On what hangs that follows from a call: its own span, where it has one, or what its caller has sent. */
export function traceContextOf({
  values,
  requestHeader,
}: Pick<HandlerContext, 'values' | 'requestHeader'>): string | undefined {
  return values.get(traceContextKey) ?? readTraceparent(requestHeader.get('traceparent'));
}
