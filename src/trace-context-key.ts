import { createContextKey } from '@connectrpc/connect';

/** Where the request gate leaves the `traceparent` of a call's own span; none where it is not traced. */
export const traceContextKey = createContextKey<string | undefined>(undefined, {
  description: 'the traceparent of the span of the call',
});
